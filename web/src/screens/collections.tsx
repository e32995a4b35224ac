/** Videos that share a hashtag or a sound. */
import { useEffect, useMemo } from "preact/hooks";
import { Hash, Music2 } from "lucide-preact";
import { api } from "../api/calls";
import { FeedList } from "../feed/feed_list";
import { t } from "../i18n/i18n";
import { Note, Retry } from "../parts/states";
import { VideoGrid } from "../parts/video_grid";
import type { Match } from "../routing/router";

export function HashtagScreen({ match }: { match: Match }) {
  const tag = match.params.tag ?? "";
  const list = useMemo(() => new FeedList((cursor) => api.hashtagVideos(tag, cursor), "hashtag", false), [tag]);
  return <Collection list={list} icon={Hash} title={`#${tag}`} />;
}

export function SoundScreen({ match }: { match: Match }) {
  const id = match.params.id ?? "";
  const list = useMemo(() => new FeedList((cursor) => api.soundVideos(id, cursor), "sound", false), [id]);
  const name = list.items.value[0]?.sound?.title ?? t("sound");
  return <Collection list={list} icon={Music2} title={name} />;
}

function Collection({ list, icon: Picture, title }: { list: FeedList; icon: typeof Hash; title: string }) {
  useEffect(() => void list.more(), [list]);
  const problem = list.problem.value;
  const empty = list.exhausted.value && list.items.value.length === 0;
  return (
    <section class="page">
      <header class="collection-head">
        <span class="collection-icon">
          <Picture size={40} aria-hidden="true" />
        </span>
        <h1 dir="auto">{title}</h1>
      </header>
      {problem && <Retry icon={Picture} title={t("missingTitle")} hint={problem.message} onRetry={() => void list.retry()} />}
      {empty && <Note inside icon={Picture} title={t("noVideos")} />}
      <VideoGrid list={list} />
    </section>
  );
}
