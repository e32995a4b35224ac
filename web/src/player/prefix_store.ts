/** First bytes (init + first fragment) of clips about to be watched: fetched once, bounded, cancelled when not wanted. */
import type { Clip } from "./clip";
import { withCmcd } from "./cmcd";

/** Twelve prefixes of about 100 kB: the neighbours of a fast swiper, never a memory worry. */
const CAPACITY = 12;

type Entry = { bytes: ArrayBuffer | null; abort: AbortController; ready: Promise<ArrayBuffer | null>; used: boolean };

export type PrefixTally = { fetchedBytes: number; usedBytes: number };

export class PrefixStore {
  private readonly entries = new Map<string, Entry>();
  /** What warming cost and what of it was watched: the difference is waste. */
  readonly tally: PrefixTally = { fetchedBytes: 0, usedBytes: 0 };

  warm(clip: Clip): void {
    if (this.entries.has(clip.mp4Url) || clip.prefixBytes <= 0 || !clip.mp4Url) return;
    const abort = new AbortController();
    const entry: Entry = { bytes: null, abort, ready: Promise.resolve(null), used: false };
    entry.ready = this.fetchPrefix(clip, abort.signal).then((bytes) => {
      entry.bytes = bytes;
      if (bytes) this.tally.fetchedBytes += bytes.byteLength;
      else this.entries.delete(clip.mp4Url);
      return bytes;
    });
    this.entries.set(clip.mp4Url, entry);
    this.trim();
  }

  /** Stop a fetch that is still under way; bytes that have arrived stay. */
  cancel(clip: Clip): void {
    const entry = this.entries.get(clip.mp4Url);
    if (entry && !entry.bytes) {
      entry.abort.abort();
      this.entries.delete(clip.mp4Url);
    }
  }

  /** Bytes [start, end) of `url` if the prefix covers them; waits for a fetch that is under way. */
  async slice(url: string, start: number, end: number): Promise<ArrayBuffer | null> {
    const entry = this.entries.get(stripQuery(url));
    const bytes = entry ? (entry.bytes ?? (await entry.ready)) : null;
    if (!entry || !bytes || end > bytes.byteLength) return null;
    if (!entry.used) this.tally.usedBytes += bytes.byteLength;
    entry.used = true;
    return bytes.slice(start, end);
  }

  covers(url: string, end: number): boolean {
    const entry = this.entries.get(stripQuery(url));
    return entry !== undefined && (entry.bytes === null || end <= entry.bytes.byteLength);
  }

  private async fetchPrefix(clip: Clip, signal: AbortSignal): Promise<ArrayBuffer | null> {
    const url = withCmcd(clip.mp4Url, { cid: clip.id, ot: "av", sf: "h" });
    try {
      const response = await fetch(url, {
        headers: { Range: `bytes=0-${clip.prefixBytes - 1}` },
        signal,
        priority: "low",
      } as RequestInit);
      return response.status === 206 ? await response.arrayBuffer() : null;
    } catch {
      return null; // cancelled or offline: the clip simply starts cold
    }
  }

  private trim(): void {
    for (const [key, entry] of this.entries) {
      if (this.entries.size <= CAPACITY) return;
      entry.abort.abort();
      this.entries.delete(key);
    }
  }
}

export function stripQuery(url: string): string {
  const path = url.split("?")[0] ?? url;
  return path.startsWith(location.origin) ? path.slice(location.origin.length) : path;
}
