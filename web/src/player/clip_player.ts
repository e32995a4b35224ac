/**
 * Plays one clip in one frame of the feed.
 *
 * 1. Cold: the progressive MP4 of the first rung starts at once in the lead element.
 * 2. Warmed: a stream (hls.js) already holds the first fragment, and play() shows it in a frame or two.
 * 3. A progressive start that deserves more pixels is handed over to a stream in a second element, on the same frame.
 */
import { savingData } from "../session/preferences";
import { expectedBandwidthBps, learnBandwidth } from "./bandwidth";
import { bufferedAhead, chooseStart, type Clip, type Warmth, wantsUpgrade } from "./clip";
import { HandOver } from "./hand_over";
import type { PrefixStore } from "./prefix_store";
import { onNextFrame } from "./start_clock";
import type { Stream } from "./stream";
import { loadedStreamModule } from "./stream_module";
import { WatchMeter } from "./watch_meter";

export type PlayerEvents = {
  /** First frame on screen, and the first that follows it: for a prepared clip they differ by the decoder's wake-up. */
  onFrame: (shownAt: number, movedAt: number) => void;
  onTime: (seconds: number, duration: number) => void;
  onBlocked: () => void;
  onState: (state: "playing" | "paused" | "waiting" | "failed") => void;
};

export type Sound = { muted: boolean; volume: number; speed: number };

/** Progressive playback has settled: only now may a second download begin. */
const UPGRADE_AFTER_S = 0.8;
/** The active clip counts as safe with this much ahead (or everything). */
const HEALTHY_S = 1.5;

export class ClipPlayer {
  readonly meter = new WatchMeter();
  private lead: HTMLVideoElement;
  private stream: Stream | null = null;
  private handOver: HandOver | null = null;
  private active = false;
  private wanted = false;
  private upgradeTried = false;
  private lastTime = 0;
  private cancelFrame: (() => void) | null = null;
  /** The first frame has been given to the compositor: it is on screen as soon as the slide is. */
  private painted = false;
  private readonly teardown = new AbortController();

  constructor(
    private readonly host: HTMLElement,
    readonly clip: Clip,
    private readonly prefixes: PrefixStore,
    private sound: Sound,
    private readonly events: PlayerEvents,
  ) {
    this.lead = this.makeElement();
    host.append(this.lead);
    this.listen(this.lead);
  }

  get element(): HTMLVideoElement {
    return this.lead;
  }

  get healthy(): boolean {
    const { currentTime, duration, buffered } = this.lead;
    if (!Number.isFinite(duration) || this.lead.readyState < 2) return false;
    const ahead = bufferedAhead(buffered, currentTime);
    return ahead >= HEALTHY_S || currentTime + ahead >= duration - 0.3;
  }

  /** Whether a first frame waits in memory. */
  get warmNow(): boolean {
    return this.stream !== null && this.lead.readyState >= 2;
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
    this.prefixes.warm(this.clip, next);
    if (warmth !== "buffered" || !loadedStreamModule() || this.stream || this.lead.src) return;
    this.openStream(this.lead, 0);
    this.cancelFrame = onNextFrame(this.lead, () => {
      this.painted = true;
    });
  }

  /** Become the clip being watched. `askedAt` is the performance.now() of the tap or swipe. */
  activate(askedAt: number): void {
    this.active = true;
    this.wanted = true;
    this.meter.reset();
    this.meter.begin(askedAt);
    const module = loadedStreamModule();
    const start = chooseStart({
      streamWarm: this.stream !== null,
      canStream: module?.streamSupported() ?? false,
      nativeHls: this.lead.canPlayType("application/vnd.apple.mpegurl") !== "",
      hasMp4: this.clip.mp4Url !== "",
    });
    // `src`, not `currentSrc`: a released element goes on naming its last source.
    if (start === "stream") this.runStream();
    else if (!this.lead.src) this.lead.src = start === "native" ? this.clip.masterUrl : this.clip.mp4Url;
    this.play();
    this.cancelFrame?.();
    let shownAt = Number.POSITIVE_INFINITY;
    if (this.painted) requestAnimationFrame(() => requestAnimationFrame((at) => (shownAt = at)));
    this.cancelFrame = onNextFrame(this.lead, (at) => this.firstFrame(Math.min(shownAt, at), at));
  }

  /** The viewer moved on: stop, rewind, fetch nothing more. */
  deactivate(): void {
    this.active = false;
    this.wanted = false;
    this.meter.reset();
    this.handOver?.cancel();
    this.handOver = null;
    this.lead.pause();
    this.stream?.rest();
    if (!this.stream && this.lead.src) this.release();
    else if (this.lead.readyState > 0) this.lead.currentTime = 0;
    this.upgradeTried = false;
  }

  play(): void {
    this.wanted = true;
    const promise = this.lead.play();
    promise?.catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.lead.muted) return;
      this.lead.muted = true; // sound needs a gesture first: start silent rather than not at all
      this.events.onBlocked();
      void this.lead.play().catch(() => this.events.onState("paused"));
    });
  }

  pause(): void {
    this.wanted = false;
    this.lead.pause();
  }

  seek(seconds: number): void {
    this.handOver?.cancel();
    this.handOver = null;
    this.lead.currentTime = seconds;
  }

  setSound(sound: Sound): void {
    this.sound = sound;
    applySound(this.lead, sound);
  }

  destroy(): void {
    this.teardown.abort();
    this.cancelFrame?.();
    this.handOver?.cancel();
    this.prefixes.cancel(this.clip);
    this.stream?.close();
    this.stream = null;
    this.release();
    this.lead.remove();
  }

  private openStream(element: HTMLVideoElement, startAt: number): Stream | null {
    const module = loadedStreamModule();
    if (!module?.streamSupported() || !this.clip.masterUrl) return null;
    const shown = Math.min(this.host.clientWidth, this.host.clientHeight) * devicePixelRatio;
    const options = { clip: this.clip, prefixes: this.prefixes, bandwidthBps: expectedBandwidthBps(), maxShortEdge: shown, startAt };
    const stream = new module.Stream(element, options, () => this.streamFailed(stream));
    if (element === this.lead) this.stream = stream;
    return stream;
  }

  private runStream(): void {
    if (!this.stream) this.openStream(this.lead, 0);
    this.stream?.run();
  }

  /** A stream that cannot go on: fall back to the progressive file, once. */
  private streamFailed(stream: Stream): void {
    stream.close();
    if (stream !== this.stream) {
      this.handOver?.cancel();
      this.handOver = null;
      return;
    }
    this.stream = null;
    if (!this.clip.mp4Url) return this.events.onState("failed");
    const at = this.lead.currentTime;
    this.lead.src = this.clip.mp4Url;
    this.lead.currentTime = at;
    if (this.active) this.play();
  }

  private firstFrame(shownAt: number, movedAt: number): void {
    this.meter.firstFrame(shownAt);
    this.meter.moving(shownAt);
    this.events.onFrame(shownAt, movedAt);
  }

  private tick(): void {
    const { currentTime, duration } = this.lead;
    if (currentTime + 0.5 < this.lastTime) this.meter.looped();
    this.lastTime = currentTime;
    this.events.onTime(currentTime, Number.isFinite(duration) ? duration : this.clip.durationMs / 1000);
    if (this.stream) learnBandwidth(this.stream.bandwidthBps);
    else if (this.active && currentTime > UPGRADE_AFTER_S && this.healthy) this.considerUpgrade();
  }

  private considerUpgrade(): void {
    if (this.upgradeTried || this.handOver || !loadedStreamModule()) return;
    const shown = Math.min(this.host.clientWidth, this.host.clientHeight) * devicePixelRatio;
    const canStream = loadedStreamModule()?.streamSupported() ?? false;
    const { shortEdge, firstRung } = this.clip;
    this.upgradeTried = true;
    if (!wantsUpgrade({ canStream, savingData: savingData(), shortEdge, firstRung, shownEdge: shown })) return;
    const element = this.makeElement();
    this.handOver = HandOver.begin({
      lead: this.lead,
      follower: element,
      host: this.host,
      open: (startAt) => this.openStream(element, startAt),
      onDone: (stream) => this.adopt(element, stream),
      onGiveUp: () => {
        this.handOver = null;
      },
    });
  }

  private adopt(element: HTMLVideoElement, stream: Stream): void {
    this.handOver = null;
    const old = this.lead;
    this.lead = element;
    this.stream = stream;
    applySound(element, { ...this.sound, muted: old.muted });
    this.listen(element);
    old.pause();
    old.remove();
    old.removeAttribute("src");
    old.load();
    if (!this.wanted) element.pause();
  }

  private release(): void {
    this.painted = false;
    this.lead.removeAttribute("src");
    this.lead.load();
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
    const on = (type: string, act: () => void): void =>
      element.addEventListener(type, () => element === this.lead && act(), { signal: this.teardown.signal });
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
      const atSeam = this.lead.duration - this.lead.currentTime < 0.3 || this.lead.currentTime < 0.3;
      if (atSeam && this.meter.totals(0).startTimeMs !== null) return; // the loop's own seam, not starvation
      this.meter.starved(performance.now());
      this.events.onState("waiting");
    });
    on("error", () => {
      if (this.lead.src && !this.stream && this.active) this.events.onState("failed");
    });
  }
}

function applySound(element: HTMLVideoElement, sound: Sound): void {
  element.muted = sound.muted;
  element.volume = sound.volume;
  element.playbackRate = sound.speed;
  element.defaultPlaybackRate = sound.speed;
}
