/** First bytes (init + first fragment) of clips about to be watched: fetched once, bounded, cancelled when not wanted. */
import { learnBandwidth } from "./bandwidth";
import type { Clip } from "./clip";
import { cmcdHeaders, nextObject } from "./cmcd";

/** Twelve prefixes of about 100 kB: the neighbours of a fast swiper, never a memory worry. */
const CAPACITY = 12;

type Entry = { bytes: ArrayBuffer | null; abort: AbortController; ready: Promise<ArrayBuffer | null>; used: boolean };

export type PrefixTally = { fetchedBytes: number; usedBytes: number };

export class PrefixStore {
  private readonly entries = new Map<string, Entry>();
  /** What warming cost and what of it was watched: the difference is waste. */
  readonly tally: PrefixTally = { fetchedBytes: 0, usedBytes: 0 };

  /** `next` is the clip after this one: the PoP may fetch its first bytes meanwhile (CMCD `nor`). */
  warm(clip: Clip, next: Clip | null): void {
    if (this.entries.has(clip.mp4Url) || clip.prefixBytes <= 0 || !clip.mp4Url) return;
    const abort = new AbortController();
    const entry: Entry = { bytes: null, abort, ready: Promise.resolve(null), used: false };
    entry.ready = this.fetchPrefix(clip, next, abort.signal).then((bytes) => {
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

  private async fetchPrefix(clip: Clip, next: Clip | null, signal: AbortSignal): Promise<ArrayBuffer | null> {
    const announced = next ? nextObject(clip.mp4Url, { url: next.mp4Url, prefixBytes: next.prefixBytes }) : {};
    const headers = { Range: `bytes=0-${clip.prefixBytes - 1}`, ...cmcdHeaders({ cid: clip.id, ot: "av", sf: "h", ...announced }) };
    try {
      const response = await fetch(clip.mp4Url, {
        headers,
        signal,
        priority: "low",
      } as RequestInit);
      if (response.status !== 206) return null;
      const began = performance.now();
      const bytes = await response.arrayBuffer();
      learnFrom(bytes.byteLength, performance.now() - began);
      return bytes;
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

/** A body that took long enough to be timed says how fast the link is; a shorter one came out of a buffer. */
function learnFrom(bytes: number, elapsedMs: number): void {
  if (bytes > 30_000 && elapsedMs > 4) learnBandwidth((bytes * 8_000) / elapsedMs);
}

export function stripQuery(url: string): string {
  const path = url.split("?")[0] ?? url;
  return path.startsWith(location.origin) ? path.slice(location.origin.length) : path;
}
