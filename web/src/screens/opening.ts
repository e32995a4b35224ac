/** A list handed to the video screen by the screen whose tile was tapped: no second request, swipes go on through it. */
import type { FeedList } from "../feed/feed_list";

let waiting: { id: string; list: FeedList; startAt: number } | null = null;

export function offerOpening(id: string, list: FeedList, startAt: number): void {
  waiting = { id, list, startAt };
}

export function takeOpening(id: string): { list: FeedList; startAt: number } | null {
  const offered = waiting;
  waiting = null;
  return offered?.id === id ? offered : null;
}
