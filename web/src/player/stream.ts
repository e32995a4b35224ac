/** hls.js for one clip: the inlined playlist and warmed prefix answer its first requests, adaptation does the rest. */
import Hls, {
  type FragmentLoaderContext,
  type HlsConfig,
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
  type LoaderStats,
  type PlaylistLoaderContext,
} from "hls.js";
import { sessionId } from "../session/device";
import type { Clip } from "./clip";
import { stripQuery, type PrefixStore } from "./prefix_store";

/** Seconds kept ahead: enough to ride out a pause of the network, little enough not to waste a skipped clip. */
const PLAYING_BUFFER_S = 6;
/** A warmed clip holds its first fragment only. */
const WARM_BUFFER_S = 0.5;

export type StreamOptions = { clip: Clip; prefixes: PrefixStore; bandwidthBps: number; maxShortEdge: number; startAt: number };

export function streamSupported(): boolean {
  return Hls.isSupported();
}

/** A stream attached to one element. `warm` until `run()`. Close it with `close()`. */
export class Stream {
  private readonly hls: Hls;
  private recovered = false;
  private closed = false;

  constructor(
    readonly element: HTMLVideoElement,
    options: StreamOptions,
    onFatal: () => void,
  ) {
    this.hls = new Hls(configFor(options));
    this.hls.on(Hls.Events.ERROR, (_event, data) => {
      if (!data.fatal || this.closed) return;
      console.debug("stream failed", data.type, data.details, data.error?.message);
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !this.recovered) {
        this.recovered = true;
        this.hls.recoverMediaError();
      } else onFatal();
    });
    this.hls.attachMedia(element);
    this.hls.loadSource(options.clip.masterUrl);
  }

  /** The viewer is here: fill the buffer and adapt. */
  run(): void {
    if (this.closed) return;
    this.hls.config.maxBufferLength = PLAYING_BUFFER_S;
    this.hls.config.maxMaxBufferLength = PLAYING_BUFFER_S * 2;
    this.hls.startLoad(-1);
  }

  /** Fetch nothing further; what is buffered stays. */
  rest(): void {
    if (!this.closed) this.hls.stopLoad();
  }

  get bandwidthBps(): number {
    return this.closed ? Number.NaN : this.hls.bandwidthEstimate;
  }

  get levelName(): string {
    const level = this.hls.levels[this.hls.currentLevel];
    return level ? `${Math.min(level.width, level.height)}p` : "";
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.hls.destroy();
  }
}

function configFor({ clip, prefixes, bandwidthBps, startAt }: StreamOptions): Partial<HlsConfig> {
  const warm = startAt === 0;
  return {
    autoStartLoad: true,
    startPosition: startAt,
    startLevel: warm ? 0 : -1,
    testBandwidth: false,
    abrEwmaDefaultEstimate: bandwidthBps,
    capLevelToPlayerSize: true,
    maxBufferLength: warm ? WARM_BUFFER_S : PLAYING_BUFFER_S,
    maxMaxBufferLength: warm ? WARM_BUFFER_S : PLAYING_BUFFER_S,
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

/** Answers byte ranges that a warmed prefix covers; everything else goes to the network. */
function prefixLoader(prefixes: PrefixStore): HlsConfig["fLoader"] {
  const Network = Hls.DefaultConfig.loader;
  return class extends Network {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const { rangeStart, rangeEnd, url } = context as FragmentLoaderContext;
      if (rangeStart === undefined || !rangeEnd || !prefixes.covers(url, rangeEnd)) return super.load(context, config, callbacks);
      void prefixes.slice(url, rangeStart, rangeEnd).then((bytes) => {
        if (this.stats?.aborted) return;
        if (bytes) answer(this, context, callbacks, bytes);
        else super.load(context, config, callbacks);
      });
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
