/** Like, save, follow and share: shown at once, sent after, taken back with a word if the API refuses. */
import { signal } from "@preact/signals";
import { api } from "../api/calls";
import { Problem } from "../api/http";
import type { FeedItem } from "../api/types";
import { t } from "../i18n/i18n";
import { toast } from "../parts/toast";
import { links } from "../routing/router";
import { withAccount } from "../session/gate";
import { me } from "../session/session";
import type { Deck } from "./deck";
import type { FeedList } from "./feed_list";

/** What this viewer did since the page loaded, by video or creator: overlays whatever a later page says. */
export const saved = signal<ReadonlyMap<string, boolean>>(new Map());
export const followed = signal<ReadonlyMap<string, boolean>>(new Map());

export function tell(error: unknown): void {
  toast(error instanceof Problem ? error.message : String(error), "bad");
}

export function setLike(list: FeedList, deck: Deck | null, item: FeedItem, on: boolean): void {
  withAccount(() => {
    if (item.liked === on) return;
    const change = (liked: boolean, likeCount: number): void => list.patch(item.id, { liked, likeCount });
    change(on, Math.max(0, item.likeCount + (on ? 1 : -1)));
    deck?.act({ liked: on });
    api.like(item.id, on).catch((error: unknown) => {
      change(item.liked, item.likeCount);
      deck?.act({ liked: item.liked });
      tell(error);
    });
  });
}

export function setSaved(item: FeedItem, on: boolean): void {
  withAccount(() => {
    saved.value = new Map(saved.value).set(item.id, on);
    api.bookmark(item.id, on).catch((error: unknown) => {
      saved.value = new Map(saved.value).set(item.id, !on);
      tell(error);
    });
  });
}

export function setFollow(creatorId: string, on: boolean, deck: Deck | null = null): void {
  withAccount(() => {
    if (me.value?.id === creatorId) return;
    followed.value = new Map(followed.value).set(creatorId, on);
    if (on) deck?.act({ followedCreator: true });
    api.follow(creatorId, on).catch((error: unknown) => {
      followed.value = new Map(followed.value).set(creatorId, !on);
      tell(error);
    });
  });
}

export async function shareVideo(list: FeedList, deck: Deck | null, item: FeedItem): Promise<void> {
  const url = new URL(links.video(item.id), location.origin).href;
  try {
    if (navigator.share && matchMedia("(pointer: coarse)").matches) await navigator.share({ title: item.title, url });
    else await copyLink(url);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return; // the viewer closed the system's panel
    return tell(error);
  }
  list.patch(item.id, { shareCount: item.shareCount + 1 });
  deck?.act({ shared: true });
  if (me.value) await api.share(item.id).catch(() => undefined); // the link is out already: nothing to tell
}

export async function copyLink(url: string): Promise<void> {
  await navigator.clipboard.writeText(url);
  toast(t("linkCopied"));
}
