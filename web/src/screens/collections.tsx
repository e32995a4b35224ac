/** Videos that share a hashtag or a sound. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Hash, Music2 } from "lucide-preact";
import { api } from "../api/calls";
import type { LibrarySound } from "../api/types";
import { FeedList } from "../feed/feed_list";
import { t, tn } from "../i18n/i18n";
import { Note, Retry } from "../parts/states";
import { VideoGrid } from "../parts/video_grid";
import { links, type Match } from "../routing/router";

export function HashtagScreen({ match }: { match: Match }) {
  const tag = match.params.tag ?? "";
  const list = useMemo(() => new FeedList((cursor) => api.hashtagVideos(tag, cursor), "hashtag", false), [tag]);
  return <Collection list={list} icon={Hash} title={`#${tag}`} />;
}

export function SoundScreen({ match }: { match: Match }) {
  const id = match.params.id ?? "";
  const list = useMemo(() => new FeedList((cursor) => api.soundVideos(id, cursor), "sound", false), [id]);
  const [sound, setSound] = useState<LibrarySound | null>(null);
  useEffect(() => {
    api.sound(id).then(setSound, () => setSound(null)); // gone, or not to be used: its videos are still shown
  }, [id]);
  const known = sound ?? list.items.value[0]?.sound;
  const hint = [known?.artist, sound && tn("videosCount", sound.useCount)].filter(Boolean).join(" · ");
  return (
    <Collection list={list} icon={Music2} title={known?.title ?? t("sound")} hint={hint}>
      {sound?.state === "ready" && (
        <a class="button primary" href={links.uploadWith(id)}>
          {t("useSound")}
        </a>
      )}
    </Collection>
  );
}

type CollectionProps = { list: FeedList; icon: typeof Hash; title: string; hint?: string; children?: ComponentChildren };

function Collection({ list, icon: Picture, title, hint, children }: CollectionProps) {
  useEffect(() => void list.more(), [list]);
  const problem = list.problem.value;
  const empty = list.exhausted.value && list.items.value.length === 0;
  return (
    <section class="page">
      <header class="collection-head">
        <span class="collection-icon">
          <Picture size={40} aria-hidden="true" />
        </span>
        <div>
          <h1 dir="auto">{title}</h1>
          {hint && <p dir="auto">{hint}</p>}
        </div>
        {children}
      </header>
      {problem && <Retry icon={Picture} title={t("missingTitle")} hint={problem.message} onRetry={() => void list.retry()} />}
      {empty && <Note inside icon={Picture} title={t("noVideos")} />}
      <VideoGrid list={list} />
    </section>
  );
}
