/**
 * The first seconds of a clip through Media Source Extensions, without waiting for a whole fragment, a playlist or hls.js:
 * the bytes go to the decoder as they arrive. A prepared clip has its first fragment in the element this way; any clip can
 * go on with its next fragments until a stream (hls.js) takes the media source over. See docs/decisions/0405.
 */
import type { Clip } from "./clip";
import { cmcdHeaders } from "./cmcd";
import { type Fragment, fragmentsOf } from "./fragments";
import type { PrefixStore } from "./prefix_store";

type SourceClass = { new (): MediaSource; isTypeSupported: (type: string) => boolean };

/** The one hls.js would choose: Safari's managed kind where it exists. */
function sourceClass(): SourceClass | null {
  const scope = globalThis as unknown as { ManagedMediaSource?: SourceClass; MediaSource?: SourceClass };
  return scope.ManagedMediaSource ?? scope.MediaSource ?? null;
}

function typeOf(clip: Clip): string {
  return `video/mp4; codecs="${clip.codecs}"`;
}

/** Whether this browser can open this clip so. */
export function canOpen(clip: Clip): boolean {
  const described = clip.codecs !== "" && clip.prefixBytes > 0 && clip.mp4Url !== "" && fragmentsOf(clip.playlist).length > 0;
  return described && (sourceClass()?.isTypeSupported(typeOf(clip)) ?? false);
}

export class Opening {
  readonly source: MediaSource;
  readonly fragments: readonly Fragment[];
  /** The first fragment is in the buffer, or (false) will never be. */
  readonly first: Promise<boolean>;
  buffer: SourceBuffer | null = null;
  /** Fragments whose bytes have all been appended. */
  appended = 0;
  private readonly url: string;
  private readonly ended = new AbortController();
  private fetching: AbortController | null = null;
  private under: Promise<boolean> | null = null;

  /** Takes `element` over; the bytes come from `prefixes`, which fetches them if it has not yet. */
  constructor(
    element: HTMLVideoElement,
    readonly clip: Clip,
    prefixes: PrefixStore,
  ) {
    const Source = sourceClass();
    if (!Source) throw new Error("no media source in this browser: ask canOpen() first");
    this.source = new Source();
    this.fragments = fragmentsOf(clip.playlist);
    this.url = URL.createObjectURL(this.source);
    element.src = this.url;
    this.first = this.open(prefixes).catch(() => false);
  }

  /** Every fragment is in the buffer. */
  get complete(): boolean {
    return this.appended === this.fragments.length;
  }

  /** Where the next fragment begins, in seconds. */
  get end(): number {
    return this.fragments.slice(0, this.appended).reduce((sum, { seconds }) => sum + seconds, 0);
  }

  /** Fetch and append the next fragment; false when there is none, or it did not arrive. After `first` only. */
  next(): Promise<boolean> {
    this.under ??= this.appendNext().finally(() => {
      this.under = null;
    });
    return this.under;
  }

  /** Fetch nothing further; what is buffered stays. */
  rest(): void {
    this.fetching?.abort();
  }

  /** Stop for good and let go of the element's source; its owner clears `src`. */
  close(): void {
    this.ended.abort();
    this.rest();
    URL.revokeObjectURL(this.url);
  }

  private async appendNext(): Promise<boolean> {
    const fragment = this.fragments[this.appended];
    if (!fragment || this.ended.signal.aborted) return false;
    this.fetching = new AbortController();
    try {
      await this.appendRange(fragment, this.fetching.signal);
      this.fragmentDone();
      return true;
    } catch {
      return false;
    }
  }

  private async open(prefixes: PrefixStore): Promise<boolean> {
    const bytes = prefixes.stream(this.clip); // asked for at once, while the media source opens
    const first = bytes.next();
    await happens(this.source, "sourceopen", this.ended.signal);
    this.source.duration = this.clip.durationMs / 1000;
    this.buffer = this.source.addSourceBuffer(typeOf(this.clip));
    for (let piece = await first; ; piece = await bytes.next()) {
      this.ended.signal.throwIfAborted();
      if (!piece.done) await this.append(piece.value);
      else {
        if (piece.value) this.fragmentDone();
        return piece.value;
      }
    }
  }

  private async appendRange({ start, end }: Fragment, signal: AbortSignal): Promise<void> {
    const headers = { Range: `bytes=${start}-${end - 1}`, ...cmcdHeaders({ cid: this.clip.id, ot: "av", sf: "h" }) };
    const response = await fetch(this.clip.mp4Url, { headers, signal });
    if (response.status !== 206) throw new Error(`HTTP ${response.status}`);
    await this.append(new Uint8Array(await response.arrayBuffer()));
  }

  private async append(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const buffer = this.buffer!;
    buffer.appendBuffer(bytes);
    await happens(buffer, "updateend", this.ended.signal);
  }

  private fragmentDone(): void {
    this.appended += 1;
    if (this.complete && this.source.readyState === "open") this.source.endOfStream(); // else the clip could not loop
  }
}

function happens(target: EventTarget, type: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) return stop();
    const done = (): void => {
      signal.removeEventListener("abort", stop);
      resolve();
    };
    signal.addEventListener("abort", stop, { once: true });
    target.addEventListener(type, done, { once: true, signal });
  });
}
