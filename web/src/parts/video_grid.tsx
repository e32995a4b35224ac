/** Tiles of videos; tapping one opens the swipe player at that place in the same list. */
import { useEffect, useRef } from "preact/hooks";
import { Play } from "lucide-preact";
import type { FeedItem } from "../api/types";
import { count, t } from "../i18n/i18n";
import type { FeedList } from "../feed/feed_list";
import { links } from "../routing/router";
import { offerOpening } from "../screens/opening";
import { Spinner } from "./states";
import { placeholderUrl } from "./thumbhash";

export function VideoGrid({ list }: { list: FeedList }) {
  const foot = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const watcher = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && void list.more(), { rootMargin: "400px" });
    watcher.observe(foot.current!);
    return () => watcher.disconnect();
  }, [list]);
  return (
    <>
      <ul class="grid">
        {list.items.value.map((item, index) => (
          <li key={item.id}>
            <Tile item={item} onOpen={() => offerOpening(item.id, list, index)} />
          </li>
        ))}
      </ul>
      <div ref={foot}>{list.loading.value && <Spinner />}</div>
    </>
  );
}

function Tile({ item, onOpen }: { item: FeedItem; onOpen: () => void }) {
  const placeholder = placeholderUrl(item.thumbhash);
  return (
    <a
      class="tile"
      href={links.video(item.id)}
      style={placeholder ? { backgroundImage: `url(${placeholder})` } : {}}
      onClick={onOpen}
    >
      {item.thumbnail && <img src={item.thumbnail} alt="" loading="lazy" decoding="async" />}
      <span class="visually-hidden">{t("videoBy", { name: item.user.displayName, title: item.title })}</span>
      <span class="tile-foot">
        <Play size={14} fill="currentColor" aria-hidden="true" /> {count(item.viewCount)}
      </span>
    </a>
  );
}
