/**
 * First bytes (init + first fragment) of clips: fetched once, handed out while they arrive, bounded, cancelled when not
 * wanted any more.
 */
import { learnBandwidth } from "./bandwidth";
import type { Clip } from "./clip";
import { cmcdHeaders, nextObject } from "./cmcd";

/** Twelve prefixes of about 50 kB: the neighbours of a fast swiper, never a memory worry. */
const CAPACITY = 12;
/** After a failed fetch the link, or the file, is left alone for so long. */
const PAUSE_MS = 3_000;
/** Handed out in pieces of this size or more: a slow link delivers packets, and every append costs the page a task. */
const PIECE_BYTES = 16_384;

export type PrefixTally = { fetchedBytes: number; usedBytes: number };
type Urgency = "now" | "ahead";

/** The bytes of one prefix as they come in. */
class Prefix {
  readonly chunks: Uint8Array[] = [];
  readonly abort = new AbortController();
  state: "arriving" | "complete" | "lost" = "arriving";
  bytes = 0;
  used = false;
  private waiting: (() => void)[] = [];

  constructor(readonly urgency: Urgency) {}

  add(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.bytes += chunk.byteLength;
    this.wake();
  }

  end(state: "complete" | "lost"): void {
    this.state = state;
    this.wake();
  }

  change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

export class PrefixStore {
  private readonly entries = new Map<string, Prefix>();
  /** When fetches failed that nobody cancelled, on the clock of performance.now(). */
  private readonly failures = new Map<string, number>();
  /** What warming cost and what of it was watched: the difference is waste. */
  readonly tally: PrefixTally = { fetchedBytes: 0, usedBytes: 0 };

  /**
   * Fetch ahead; false when it was tried a moment ago and failed. `next` is the clip after this one: the PoP may fetch its
   * first bytes meanwhile (CMCD `nor`).
   */
  warm(clip: Clip, next: Clip | null): boolean {
    const failedAt = this.failures.get(clip.mp4Url) ?? Number.NEGATIVE_INFINITY;
    return performance.now() - failedAt > PAUSE_MS && this.start(clip, next, "ahead") !== null;
  }

  /** Whether every byte is here. */
  holds(clip: Clip): boolean {
    return this.entries.get(clip.mp4Url)?.state === "complete";
  }

  /** Stop a fetch that is still under way; bytes that have arrived stay. */
  cancel(clip: Clip): void {
    const entry = this.entries.get(clip.mp4Url);
    if (entry?.state === "arriving") this.forget(clip.mp4Url, entry);
  }

  /** The prefix, from memory and then as it arrives; returns false when it is lost on the way. */
  async *stream(clip: Clip): AsyncGenerator<Uint8Array<ArrayBuffer>, boolean> {
    const entry = this.start(clip, null, "now");
    for (let taken = 0; entry; ) {
      const chunks = entry.chunks.slice(taken);
      const enough = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0) >= PIECE_BYTES;
      if (entry.state === "arriving" && !enough) await entry.change();
      else if (chunks.length === 0) return entry.state === "complete";
      else {
        taken += chunks.length;
        yield joined(chunks);
      }
    }
    return false;
  }

  /** Somebody watches the clip: what was fetched ahead for it is not waste. */
  use(clip: Clip): void {
    const entry = this.entries.get(clip.mp4Url);
    if (!entry || entry.used) return;
    entry.used = true;
    if (entry.urgency === "ahead") this.tally.usedBytes += entry.bytes;
  }

  /** Bytes [start, end) of `url` if they are here. */
  slice(url: string, start: number, end: number): ArrayBuffer | null {
    const entry = this.entries.get(stripQuery(url));
    if (!entry || end > entry.bytes) return null;
    return joined(entry.chunks).buffer.slice(start, end);
  }

  private start(clip: Clip, next: Clip | null, urgency: Urgency): Prefix | null {
    const known = this.entries.get(clip.mp4Url);
    if (known || clip.prefixBytes <= 0 || !clip.mp4Url) return known ?? null;
    const entry = new Prefix(urgency);
    this.entries.set(clip.mp4Url, entry);
    this.trim();
    void this.fetchInto(entry, clip, next).then((whole) => {
      if (whole) return entry.end("complete");
      if (!entry.abort.signal.aborted) this.noteFailure(clip.mp4Url);
      this.forget(clip.mp4Url, entry); // cancelled or offline: the clip simply starts cold
    });
    return entry;
  }

  private async fetchInto(entry: Prefix, clip: Clip, next: Clip | null): Promise<boolean> {
    const announced = next ? nextObject(clip.mp4Url, { url: next.mp4Url, prefixBytes: next.prefixBytes }) : {};
    const headers = {
      Range: `bytes=0-${clip.prefixBytes - 1}`,
      ...cmcdHeaders({ cid: clip.id, ot: "av", sf: "h", su: entry.urgency === "now", ...announced }),
    };
    const priority = entry.urgency === "now" ? "high" : "low";
    try {
      const response = await fetch(clip.mp4Url, { headers, signal: entry.abort.signal, priority } as RequestInit);
      if (response.status !== 206 || !response.body) return false;
      const began = performance.now();
      const reader = response.body.getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) this.arrived(entry, piece.value);
      learnFrom(entry.bytes, performance.now() - began);
      return true;
    } catch {
      return false;
    }
  }

  private arrived(entry: Prefix, chunk: Uint8Array): void {
    entry.add(chunk);
    if (entry.urgency === "now") return;
    this.tally.fetchedBytes += chunk.byteLength;
    if (entry.used) this.tally.usedBytes += chunk.byteLength;
  }

  private forget(url: string, entry: Prefix): void {
    entry.abort.abort();
    entry.end("lost");
    if (this.entries.get(url) === entry) this.entries.delete(url);
  }

  private noteFailure(url: string): void {
    if (this.failures.size >= CAPACITY) this.failures.clear();
    this.failures.set(url, performance.now());
  }

  private trim(): void {
    for (const [url, entry] of this.entries) {
      if (this.entries.size <= CAPACITY) return;
      this.forget(url, entry);
    }
  }
}

/** A body that took long enough to be timed says how fast the link is; a shorter one came out of a buffer. */
function learnFrom(bytes: number, elapsedMs: number): void {
  if (bytes > 30_000 && elapsedMs > 4) learnBandwidth((bytes * 8_000) / elapsedMs);
}

function joined(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

export function stripQuery(url: string): string {
  const path = url.split("?")[0] ?? url;
  return path.startsWith(location.origin) ? path.slice(location.origin.length) : path;
}
