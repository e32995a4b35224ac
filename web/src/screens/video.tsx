/** One video by its shareable address, with the creator's other videos behind it. */
import { useEffect, useState } from "preact/hooks";
import { ArrowLeft, VideoOff } from "lucide-preact";
import { api } from "../api/calls";
import { Problem } from "../api/http";
import type { FeedItem } from "../api/types";
import { t } from "../i18n/i18n";
import { FeedList } from "../feed/feed_list";
import { FeedView } from "../feed/feed_view";
import { Retry, Spinner } from "../parts/states";
import { goBack, links, type Match } from "../routing/router";
import { takeOpening } from "./opening";

export function VideoScreen({ match }: { match: Match }) {
  const id = match.params.id ?? "";
  const [opening, setOpening] = useState<{ list: FeedList; startAt: number } | null>(() => takeOpening(id));
  const [problem, setProblem] = useState<Problem | null>(null);
  const load = (): void => {
    setProblem(null);
    api.video(id).then(
      (item) => setOpening({ list: behind(item), startAt: 0 }),
      (error: unknown) => setProblem(error instanceof Problem ? error : new Problem(0, "unknown", String(error))),
    );
  };
  useEffect(() => {
    if (!opening) load();
  }, [id]);
  if (problem) return <Retry icon={VideoOff} title={t("missingTitle")} hint={problem.message} onRetry={load} />;
  if (!opening) return <Spinner />;
  return (
    <>
      <button type="button" class="feed-back icon-button" aria-label={t("back")} onClick={() => goBack()}>
        <ArrowLeft class="mirror" aria-hidden="true" />
      </button>
      <FeedView list={opening.list} startAt={opening.startAt} onItem={showAddress} />
    </>
  );
}

/** The address follows the clip, so that "copy link" and reload mean what is on screen. */
function showAddress(id: string): void {
  if (location.pathname.startsWith("/v/")) history.replaceState(history.state, "", links.video(id));
}

function behind(item: FeedItem): FeedList {
  return new FeedList((cursor) => api.userVideos(item.user.id, cursor), "share", false, [item]);
}
