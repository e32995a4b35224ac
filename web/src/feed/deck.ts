/** The players behind a feed: one active, neighbours warmed within what the link can spare, watch reports on leaving. */
import { signal } from "@preact/signals";
import type { FeedItem } from "../api/types";
import { expectedBandwidthBps } from "../player/bandwidth";
import { type Clip, clipOf, spareAheadS, warmthFor } from "../player/clip";
import { ClipPlayer, type Sound } from "../player/clip_player";
import { PrefixStore } from "../player/prefix_store";
import { preferences, savingData, savingPower } from "../session/preferences";
import { keepLastWords, report, type Watched, type WatchSource } from "../reporting/watch_queue";

export type Acts = { liked: boolean; commented: boolean; shared: boolean; followedCreator: boolean; notInterested: boolean };
const NO_ACTS: Acts = { liked: false, commented: false, shared: false, followedCreator: false, notInterested: false };

/** What one start looked like, for the bench and for `docs/web.md`. */
export type StartRecord = { id: string; startMs: number; movingMs: number; warmed: boolean };

const REWARM_MS = 100;

export class Deck {
  readonly state = signal<"waiting" | "playing" | "paused" | "failed">("waiting");
  readonly time = signal(0);
  readonly duration = signal(0);
  readonly soundBlocked = signal(false);
  /** The active clip is safe and its neighbours are prepared: there is room for pictures. */
  readonly settled = signal(false);
  readonly starts: StartRecord[] = [];
  readonly prefixes = new PrefixStore();
  private readonly players = new Map<string, ClipPlayer>();
  private items: readonly FeedItem[] = [];
  private index = -1;
  private previous = -1;
  private acts: Acts = { ...NO_ACTS };
  private asked = { id: "", at: 0 };
  private warmed = false;
  private warming = false;
  private readonly timer: number;
  private readonly teardown = new AbortController();

  constructor(private readonly source: WatchSource) {
    this.timer = window.setInterval(() => this.rewarm(), REWARM_MS);
    // In the capture phase: the report must be in the queue when the queue itself says goodbye.
    addEventListener("pagehide", () => this.leave(), { capture: true, signal: this.teardown.signal });
    document.addEventListener("visibilitychange", () => this.hideOrShow(), { capture: true, signal: this.teardown.signal });
  }

  mount(item: FeedItem, host: HTMLElement): void {
    const clip = clipOf(item);
    const active = (act: () => void) => (): void => {
      if (this.current?.id === item.id) act();
    };
    const player = new ClipPlayer(host, clip, this.prefixes, soundNow(), {
      onFrame: (shownAt, movedAt) => active(() => this.framed(item.id, shownAt, movedAt))(),
      onTime: (seconds, duration) => active(() => this.tick(seconds, duration))(),
      onBlocked: active(() => {
        this.soundBlocked.value = true;
      }),
      onState: (state) =>
        active(() => {
          this.state.value = state;
        })(),
    });
    this.players.set(item.id, player);
    if (this.asked.id === item.id) this.begin(player);
  }

  unmount(id: string): void {
    this.players.get(id)?.destroy();
    this.players.delete(id);
  }

  /** The viewer is at `index` since `askedAt` (performance.now() of the tap or swipe). */
  show(items: readonly FeedItem[], index: number, askedAt: number): void {
    const item = items[index];
    const same = item !== undefined && this.current?.id === item.id;
    this.items = items;
    if (same || !item) {
      this.index = same ? index : this.index;
      return;
    }
    this.leave();
    this.previous = this.index;
    this.index = index;
    this.time.value = 0;
    this.duration.value = item.durationMs / 1000;
    this.state.value = "waiting";
    this.settled.value = false;
    this.warming = false;
    this.asked = { id: item.id, at: askedAt };
    const player = this.players.get(item.id);
    if (player) this.begin(player);
  }

  act(change: Partial<Acts>): void {
    this.acts = { ...this.acts, ...change };
  }

  toggle(): boolean {
    const player = this.activePlayer;
    if (!player) return false;
    if (player.paused) player.play();
    else player.pause();
    return player.paused;
  }

  pause(): void {
    this.activePlayer?.pause();
  }

  resume(): void {
    this.activePlayer?.play();
  }

  seek(seconds: number): void {
    this.activePlayer?.seek(seconds);
    this.time.value = seconds;
  }

  applySound(): void {
    const sound = soundNow();
    if (!sound.muted) this.soundBlocked.value = false;
    for (const player of this.players.values()) player.setSound(sound);
  }

  close(): void {
    this.leave();
    clearInterval(this.timer);
    this.teardown.abort();
    for (const player of this.players.values()) player.destroy();
    this.players.clear();
  }

  get current(): FeedItem | undefined {
    return this.items[this.index];
  }

  get activeElement(): HTMLVideoElement | null {
    return this.activePlayer?.element ?? null;
  }

  /** Of a mounted clip: there before the deck has been told which clip is watched. */
  elementOf(id: string): HTMLVideoElement | null {
    return this.players.get(id)?.element ?? null;
  }

  private get activePlayer(): ClipPlayer | undefined {
    return this.current ? this.players.get(this.current.id) : undefined;
  }

  private begin(player: ClipPlayer): void {
    this.warmed = player.warmNow;
    player.activate(this.asked.at);
    this.rewarm();
  }

  private framed(id: string, shownAt: number, movedAt: number): void {
    const since = (at: number): number => Math.max(0, Math.round(at - this.asked.at));
    this.starts.push({ id, startMs: since(shownAt), movingMs: since(movedAt), warmed: this.warmed });
    if (this.starts.length > 200) this.starts.shift();
  }

  private tick(seconds: number, duration: number): void {
    this.time.value = seconds;
    this.duration.value = duration;
  }

  private rewarm(): void {
    const active = this.activePlayer;
    const returning = this.previous > this.index && this.previous >= 0;
    const forward = returning ? -1 : 1;
    const ahead = active?.aheadOfNow ?? 0;
    const spare = spareAheadS(this.clipAt(forward)?.prefixBytes ?? 0, expectedBandwidthBps());
    // Once begun, warming goes on until the active clip is in need: stopping and starting would fetch things twice.
    if (ahead >= spare) this.warming = true;
    else if (ahead < spare / 2) this.warming = false;
    const ready = (distance: number): boolean => {
      const clip = this.clipAt(distance);
      return clip === null || this.prefixes.holds(clip);
    };
    const facts = { healthy: this.warming, savingData: savingData(), savingPower: savingPower(), returning, nextReady: ready(forward) };
    // Nearest first, so that the next clip's bytes are asked for before the one after it.
    for (const distance of [forward, 2 * forward, -forward, -2 * forward]) {
      this.playerAt(distance)?.warm(warmthFor(distance, facts), this.clipAt(distance + forward));
    }
    const prepared = facts.nextReady && (facts.savingData || facts.savingPower || ready(2 * forward));
    active?.giveRoom(prepared);
    if (this.warming && prepared) this.settled.value = true;
  }

  private playerAt(distance: number): ClipPlayer | undefined {
    const item = this.items[this.index + distance];
    return item && this.players.get(item.id);
  }

  private clipAt(distance: number): Clip | null {
    const item = this.items[this.index + distance];
    return item ? clipOf(item) : null;
  }

  private hideOrShow(): void {
    const hidden = document.visibilityState === "hidden";
    keepLastWords(hidden ? this.watched() : null);
  }

  /** What the active clip's report would say now; null when it was not asked for. */
  private watched(): Watched | null {
    const item = this.current;
    const player = this.activePlayer;
    if (!item || !player?.meter.begun) return null;
    const totals = player.meter.totals(performance.now());
    return {
      videoId: item.id,
      watchDuration: Math.min(totals.watchedMs, 86_400_000),
      totalDuration: item.durationMs,
      ...this.acts,
      source: this.source,
      ...(item.impression ? { impression: item.impression } : {}),
      ...(totals.startTimeMs === null ? {} : { startTimeMs: totals.startTimeMs }),
      rebuffers: totals.rebuffers,
    };
  }

  /** Close the books on the active clip: one report. */
  private leave(): void {
    const event = this.watched();
    if (!event) return;
    this.activePlayer?.deactivate();
    report(event);
    keepLastWords(null);
    this.acts = { ...NO_ACTS };
  }
}

function soundNow(): Sound {
  const { muted, volume, speed } = preferences.value;
  return { muted, volume, speed };
}
