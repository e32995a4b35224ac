/** A growing list of clips behind the player: the feed, the following feed, or any page of videos. */
import { signal } from "@preact/signals";
import { Problem } from "../api/http";
import type { FeedItem } from "../api/types";
import type { WatchSource } from "../reporting/watch_queue";

export type Batch = { videos: FeedItem[]; nextCursor?: string | null; isFallback?: boolean };
export type FetchBatch = (cursor: string | null) => Promise<Batch>;

/** Ask for more when this few clips remain ahead. */
export const REFILL_AHEAD = 3;
/** An empty page means nothing new right now: wait before asking again. */
const EMPTY_PAUSE_MS = 8_000;

export class FeedList {
  readonly items = signal<FeedItem[]>([]);
  readonly loading = signal(false);
  readonly problem = signal<Problem | null>(null);
  readonly exhausted = signal(false);
  private cursor: string | null = null;
  private quietUntil = 0;
  private readonly seen = new Set<string>();

  constructor(
    private readonly fetchBatch: FetchBatch,
    readonly source: WatchSource,
    /** A feed goes on for ever; a profile or hashtag page ends. */
    private readonly endless: boolean,
    first: FeedItem[] = [],
    cursor: string | null = null,
  ) {
    this.add(first);
    this.cursor = cursor;
  }

  async more(): Promise<void> {
    if (this.loading.value || this.exhausted.value || Date.now() < this.quietUntil) return;
    this.loading.value = true;
    try {
      const batch = await this.fetchBatch(this.cursor);
      this.problem.value = null;
      this.cursor = batch.nextCursor ?? null;
      const fresh = this.add(batch.videos);
      if (!this.endless && !batch.nextCursor) this.exhausted.value = true;
      if (this.endless && fresh === 0) this.quietUntil = Date.now() + EMPTY_PAUSE_MS;
    } catch (error) {
      this.problem.value = error instanceof Problem ? error : new Problem(0, "unknown", String(error));
    } finally {
      this.loading.value = false;
    }
  }

  retry(): Promise<void> {
    this.quietUntil = 0;
    return this.more();
  }

  patch(id: string, change: Partial<FeedItem>): void {
    this.items.value = this.items.value.map((item) => (item.id === id ? { ...item, ...change } : item));
  }

  drop(id: string): void {
    this.items.value = this.items.value.filter((item) => item.id !== id);
  }

  private add(videos: FeedItem[]): number {
    const fresh = videos.filter((item) => !this.seen.has(item.id));
    for (const item of fresh) this.seen.add(item.id);
    if (fresh.length > 0) this.items.value = [...this.items.value, ...fresh];
    return fresh.length;
  }
}
