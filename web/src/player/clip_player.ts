/**
 * Plays one clip in one frame of the feed.
 *
 * 1. An opening gives the decoder the first fragment: ahead of the swipe (a prepared clip shows in a frame or two), or
 *    while its bytes arrive.
 * 2. A stream (hls.js) takes the same media source over, adapts and goes on.
 * 3. Where there are no media sources: the browser's own HLS, or the progressive MP4.
 */
import { savingPower, savingData } from "../session/preferences";
import { expectedBandwidthBps, learnBandwidth } from "./bandwidth";
import { bufferedAhead, chooseStart, type Clip, type Warmth } from "./clip";
import { canOpen, Opening } from "./opening";
import type { PrefixStore } from "./prefix_store";
import { onNextFrame } from "./start_clock";
import type { Stream } from "./stream";
import { loadedStreamModule, loadStreamModule } from "./stream_module";
import { WatchMeter } from "./watch_meter";

export type PlayerEvents = {
  /** First frame on screen, and the first that follows it: for a prepared clip they differ by the decoder's wake-up. */
  onFrame: (shownAt: number, movedAt: number) => void;
  onTime: (seconds: number, duration: number) => void;
  onBlocked: () => void;
  onState: (state: "playing" | "paused" | "waiting" | "failed") => void;
};

export type Sound = { muted: boolean; volume: number; speed: number };

/** Seconds kept ahead: enough to ride out a pause of the network, little enough not to waste a skipped clip. */
const PLAYING_AHEAD_S = 6;
/** As long as neighbours wait for their first bytes. */
const MODEST_AHEAD_S = 3;
/** On a slower link the second fragment is fetched from the first rung at once: choosing a rung takes a round trip or two. */
const QUICK_LINK_BPS = 3_000_000;

export class ClipPlayer {
  readonly meter = new WatchMeter();
  readonly element: HTMLVideoElement;
  private opening: Opening | null = null;
  private stream: Stream | null = null;
  private active = false;
  private wanted = false;
  private roomy = false;
  private lastTime = 0;
  private cancelFrame: (() => void) | null = null;
  /** The first frame has been given to the compositor: it is on screen as soon as the slide is. */
  private painted = false;
  private readonly teardown = new AbortController();

  constructor(
    host: HTMLElement,
    readonly clip: Clip,
    private readonly prefixes: PrefixStore,
    private sound: Sound,
    private readonly events: PlayerEvents,
  ) {
    this.element = this.makeElement();
    host.append(this.element);
    this.listen(this.element);
  }

  /** Seconds of media after the position; Infinity once everything to the end is here. */
  get aheadOfNow(): number {
    const { currentTime, duration, buffered, readyState } = this.element;
    if (!Number.isFinite(duration) || readyState < 2) return 0;
    const ahead = bufferedAhead(buffered, currentTime);
    return currentTime + ahead >= duration - 0.3 ? Number.POSITIVE_INFINITY : ahead;
  }

  /** Whether a first frame waits in memory. */
  get warmNow(): boolean {
    return this.opening !== null && this.element.readyState >= 2;
  }

  get paused(): boolean {
    return !this.wanted;
  }

  /** Hold what `warmth` says, no more. Never called for the active clip. */
  warm(warmth: Warmth, next: Clip | null): void {
    if (this.active) return;
    if (warmth === "cold") {
      this.prefixes.cancel(this.clip);
      this.stream?.rest();
      return;
    }
    const coming = this.prefixes.warm(this.clip, next);
    if (!coming || warmth !== "buffered" || this.element.src || !canOpen(this.clip)) return;
    this.open();
    this.cancelFrame = onNextFrame(this.element, () => {
      this.painted = true;
    });
  }

  /** Become the clip being watched. `askedAt` is the performance.now() of the tap or swipe. */
  activate(askedAt: number): void {
    this.active = true;
    this.wanted = true;
    this.meter.reset();
    this.meter.begin(askedAt);
    if (!this.element.src) this.choose(); // `src`, not `currentSrc`: a released element goes on naming its last source
    this.prefixes.use(this.clip);
    this.play();
    this.cancelFrame?.();
    let shownAt = Number.POSITIVE_INFINITY;
    if (this.painted) requestAnimationFrame(() => requestAnimationFrame((at) => (shownAt = at)));
    this.cancelFrame = onNextFrame(this.element, (at) => this.firstFrame(Math.min(shownAt, at), at));
    if (this.opening?.complete) return;
    if (this.stream) this.stream.run();
    else if (this.opening) void this.carryOn(this.opening);
  }

  /** The viewer moved on: stop, rewind, fetch nothing more. */
  deactivate(): void {
    this.active = false;
    this.wanted = false;
    this.meter.reset();
    this.element.pause();
    this.stream?.rest();
    this.opening?.rest();
    const keeps = this.stream !== null || (this.opening?.appended ?? 0) > 0;
    if (!keeps) this.release();
    else if (this.element.readyState > 0) this.element.currentTime = 0;
  }

  /** Whether the line is free for more than the next seconds of this clip. */
  giveRoom(roomy: boolean): void {
    this.roomy = roomy;
    this.stream?.keepAhead(this.aheadS);
  }

  play(): void {
    this.wanted = true;
    const promise = this.element.play();
    promise?.catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.element.muted) return;
      this.element.muted = true; // sound needs a gesture first: start silent rather than not at all
      this.events.onBlocked();
      void this.element.play().catch(() => this.events.onState("paused"));
    });
  }

  pause(): void {
    this.wanted = false;
    this.element.pause();
  }

  seek(seconds: number): void {
    this.element.currentTime = seconds;
  }

  setSound(sound: Sound): void {
    this.sound = sound;
    applySound(this.element, sound);
  }

  destroy(): void {
    this.teardown.abort();
    this.cancelFrame?.();
    this.prefixes.cancel(this.clip);
    this.release();
    this.element.remove();
  }

  private get aheadS(): number {
    return this.roomy ? PLAYING_AHEAD_S : MODEST_AHEAD_S;
  }

  private choose(): void {
    const start = chooseStart({
      canOpen: canOpen(this.clip),
      hasMp4: this.clip.mp4Url !== "",
      canStream: loadedStreamModule()?.streamSupported() ?? "MediaSource" in globalThis,
      nativeHls: this.element.canPlayType("application/vnd.apple.mpegurl") !== "",
    });
    if (start === "opening") this.open();
    else if (start === "stream") void this.streamAlone();
    else this.element.src = start === "native" ? this.clip.masterUrl : this.clip.mp4Url;
  }

  private open(): void {
    const opening = new Opening(this.element, this.clip, this.prefixes);
    this.opening = opening;
    void opening.first.then((here) => {
      if (here || this.opening !== opening) return;
      if (this.active) this.fallBack();
      else this.release(); // its bytes were not wanted any more
    });
  }

  /** From the first fragment on: a stream takes over as soon as hls.js is here; until then the first rung goes on. */
  private async carryOn(opening: Opening): Promise<void> {
    const current = (): boolean => this.active && this.opening === opening && this.stream === null;
    if (!(await opening.first) || !current() || opening.complete) return;
    const slow = expectedBandwidthBps() < QUICK_LINK_BPS;
    const second = slow || !loadedStreamModule() ? opening.next() : null;
    if (slow) await second; // before the 147 kB of hls.js
    const module = await loadStreamModule();
    if (!current() || opening.complete) return;
    if (module?.streamSupported()) {
      const stream = this.makeStream(module, opening);
      await second;
      if (this.active && this.stream === stream && !opening.complete) stream.run();
    } else await this.goOnAlone(opening, current);
  }

  /** Without hls.js (blocked, or offline just then): the first rung to the end. */
  private async goOnAlone(opening: Opening, current: () => boolean): Promise<void> {
    while (current() && (await opening.next()));
    if (current() && !opening.complete) this.fallBack();
  }

  private async streamAlone(): Promise<void> {
    const module = await loadStreamModule();
    if (!this.active || this.stream) return;
    if (module?.streamSupported() && this.clip.masterUrl) this.makeStream(module, null).run();
    else this.events.onState("failed");
  }

  private makeStream(module: NonNullable<ReturnType<typeof loadedStreamModule>>, opening: Opening | null): Stream {
    const stream: Stream = new module.Stream(this.element, opening, {
      clip: this.clip,
      prefixes: this.prefixes,
      bandwidthBps: expectedBandwidthBps(),
      lowest: savingData() || savingPower(),
      aheadS: this.aheadS,
      onFatal: () => this.stream === stream && this.fallBack(),
    });
    this.stream = stream;
    return stream;
  }

  /** What cannot go on is left for the progressive file, once. */
  private fallBack(): void {
    const at = this.element.currentTime;
    this.release();
    if (!this.clip.mp4Url) return this.events.onState("failed");
    this.element.src = this.clip.mp4Url;
    this.element.currentTime = at;
    if (this.active && this.wanted) this.play();
  }

  private firstFrame(shownAt: number, movedAt: number): void {
    this.meter.firstFrame(shownAt);
    this.meter.moving(shownAt);
    this.events.onFrame(shownAt, movedAt);
  }

  private tick(): void {
    const { currentTime, duration } = this.element;
    if (currentTime + 0.5 < this.lastTime) this.meter.looped();
    this.lastTime = currentTime;
    this.events.onTime(currentTime, Number.isFinite(duration) ? duration : this.clip.durationMs / 1000);
    if (this.stream) learnBandwidth(this.stream.bandwidthBps);
  }

  private release(): void {
    this.painted = false;
    this.stream?.close();
    this.stream = null;
    this.opening?.close();
    this.opening = null;
    this.element.removeAttribute("src");
    this.element.load();
  }

  private makeElement(): HTMLVideoElement {
    const element = document.createElement("video");
    element.playsInline = true;
    element.loop = true;
    element.preload = "auto";
    element.disableRemotePlayback = true;
    element.tabIndex = -1;
    element.className = "clip";
    applySound(element, this.sound);
    return element;
  }

  private listen(element: HTMLVideoElement): void {
    const on = (type: string, act: () => void): void => element.addEventListener(type, act, { signal: this.teardown.signal });
    on("timeupdate", () => this.tick());
    on("playing", () => {
      if (this.meter.totals(0).startTimeMs !== null) this.meter.moving(performance.now());
      this.events.onState("playing");
    });
    on("pause", () => {
      this.meter.still(performance.now());
      if (this.active) this.events.onState("paused");
    });
    on("waiting", () => {
      const atSeam = this.element.duration - this.element.currentTime < 0.3 || this.element.currentTime < 0.3;
      if (atSeam && this.meter.totals(0).startTimeMs !== null) return; // the loop's own seam, not starvation
      this.meter.starved(performance.now());
      this.events.onState("waiting");
    });
    on("error", () => {
      if (!this.element.src || this.stream || !this.active) return; // a stream mends itself, or says that it cannot
      if (this.opening) this.fallBack();
      else this.events.onState("failed");
    });
  }
}

function applySound(element: HTMLVideoElement, sound: Sound): void {
  element.muted = sound.muted;
  element.volume = sound.volume;
  element.playbackRate = sound.speed;
  element.defaultPlaybackRate = sound.speed;
}
