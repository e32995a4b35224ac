/** hls.js for one clip: takes over what an opening began, adapts, and keeps no more ahead than it is allowed. */
import Hls, {
  type FragmentLoaderContext,
  type HlsConfig,
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
  type LoaderStats,
  type MediaAttachingData,
  type PlaylistLoaderContext,
} from "hls.js";
import { sessionId } from "../session/device";
import type { Clip } from "./clip";
import type { Opening } from "./opening";
import { stripQuery, type PrefixStore } from "./prefix_store";

export type StreamOptions = {
  clip: Clip;
  prefixes: PrefixStore;
  bandwidthBps: number;
  /** Stay at the first rung (data or battery saved). */
  lowest: boolean;
  /** Seconds to keep ahead. */
  aheadS: number;
  onFatal: () => void;
};

export function streamSupported(): boolean {
  return Hls.isSupported();
}

/** A stream attached to one element. It loads once `run()` is called. Close it with `close()`. */
export class Stream {
  private readonly hls: Hls;
  private recovered = false;
  private closed = false;
  private begun = false;
  private parsed = false;
  private wanted = false;

  /** `opening`: what already plays in the element and must not append any more once `run()` is called. */
  constructor(
    private readonly element: HTMLVideoElement,
    private readonly opening: Opening | null,
    options: StreamOptions,
  ) {
    this.hls = new Hls(configFor(options));
    this.hls.on(Hls.Events.ERROR, (_event, data) => {
      if (!data.fatal || this.closed) return;
      console.debug("stream failed", data.type, data.details, data.error?.message);
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !this.recovered) {
        this.recovered = true;
        this.hls.recoverMediaError();
      } else options.onFatal();
    });
    this.hls.on(Hls.Events.MANIFEST_PARSED, () => {
      if (options.lowest) this.hls.autoLevelCapping = 0;
      this.parsed = true;
      this.begin();
    });
    this.hls.attachMedia(opening?.buffer ? takenOver(element, opening, opening.buffer) : element);
    this.hls.loadSource(options.clip.masterUrl);
  }

  /** Load from where the buffer ends, or go on after `rest()`. */
  run(): void {
    if (this.closed) return;
    this.wanted = true;
    if (this.begun) this.hls.startLoad(this.element.currentTime, true);
    else this.begin();
  }

  /** Fetch nothing further; what is buffered stays. */
  rest(): void {
    if (this.closed) return;
    this.wanted = false;
    this.hls.stopLoad();
  }

  /** Seconds to keep ahead from now on. */
  keepAhead(seconds: number): void {
    if (this.closed) return;
    this.hls.config.maxBufferLength = this.hls.config.maxMaxBufferLength = seconds;
  }

  get bandwidthBps(): number {
    return this.closed ? Number.NaN : this.hls.bandwidthEstimate;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.hls.destroy();
  }

  private begin(): void {
    if (!this.wanted || !this.parsed || this.begun) return;
    this.begun = true;
    // Without a seek: the element already plays.
    this.hls.startLoad(this.opening?.end ?? 0, true);
  }
}

/** The opening's media source as hls.js takes one from another instance: it waits for its own first fragment's tracks. */
function takenOver(media: HTMLMediaElement, { source, clip }: Opening, buffer: SourceBuffer): MediaAttachingData {
  const name = clip.codecs.includes("mp4a") ? "audiovideo" : "video";
  const track = { id: "main" as const, container: "video/mp4", codec: clip.codecs, buffer, listeners: [] };
  return { media, mediaSource: source, tracks: { [name]: track } };
}

function configFor({ clip, prefixes, bandwidthBps, aheadS, lowest }: StreamOptions): Partial<HlsConfig> {
  return {
    autoStartLoad: false,
    startLevel: lowest ? 0 : -1,
    testBandwidth: false,
    abrEwmaDefaultEstimate: bandwidthBps,
    capLevelToPlayerSize: true,
    maxBufferLength: aheadS,
    maxMaxBufferLength: aheadS,
    backBufferLength: 30,
    enableWorker: false, // fragments are MP4 already: a worker only adds its own start-up
    cmcd: { sessionId, contentId: clip.id, useHeaders: true },
    pLoader: inlinedPlaylistLoader(clip),
    fLoader: prefixLoader(prefixes),
  } as Partial<HlsConfig>;
}

/** Answers the first rung's media playlist from the feed item; everything else goes to the network. */
function inlinedPlaylistLoader(clip: Clip): HlsConfig["pLoader"] {
  const Network = Hls.DefaultConfig.loader;
  const own = `${stripQuery(clip.masterUrl).replace(/master\.m3u8$/, "")}`;
  return class extends Network {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const path = stripQuery(context.url);
      const inlined = clip.playlist !== "" && path.startsWith(own) && path.endsWith(`/${clip.firstRung}.m3u8`);
      if (!inlined) return super.load(context, config, callbacks);
      answer(this, context, callbacks, clip.playlist);
    }
  } as unknown as HlsConfig["pLoader"] & { new (config: HlsConfig): PlaylistLoaderContext };
}

/** Answers byte ranges of prefixes that are in memory (the init section, for one); everything else goes to the network. */
function prefixLoader(prefixes: PrefixStore): HlsConfig["fLoader"] {
  const Network = Hls.DefaultConfig.loader;
  return class extends Network {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const { rangeStart, rangeEnd, url } = context as FragmentLoaderContext;
      const bytes = rangeStart !== undefined && rangeEnd ? prefixes.slice(url, rangeStart, rangeEnd) : null;
      if (!bytes) return super.load(context, config, callbacks);
      answer(this, context, callbacks, bytes);
    }
  } as unknown as HlsConfig["fLoader"];
}

function answer(
  loader: { stats: LoaderStats },
  context: LoaderContext,
  callbacks: LoaderCallbacks<LoaderContext>,
  data: string | ArrayBuffer,
): void {
  const { stats } = loader;
  const size = typeof data === "string" ? data.length : data.byteLength;
  const now = performance.now();
  stats.loading.start = stats.loading.start || now;
  stats.loading.first = stats.loading.end = now;
  stats.loaded = stats.total = size;
  // Asynchronously, as a network would: hls.js has not finished setting up when it calls load().
  queueMicrotask(() => {
    if (!stats.aborted) callbacks.onSuccess({ url: context.url, data, code: 200 }, stats, context, null);
  });
}
