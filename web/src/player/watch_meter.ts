/** Exact watched time and interruptions of one clip, from its element's events. Pure: the clock is an argument. */

export type WatchTotals = { watchedMs: number; rebuffers: number; loops: number; startTimeMs: number | null };

/**
 * Counts wall-clock milliseconds while the picture moves: not while paused, seeking, waiting for data or hidden.
 * Time runs once per real millisecond whatever the playback speed.
 */
export class WatchMeter {
  private watchedMs = 0;
  private rebuffers = 0;
  private loops = 0;
  private startTimeMs: number | null = null;
  private runningSince: number | null = null;
  private begunAt: number | null = null;

  /** The viewer asked for this clip (tap or swipe). */
  begin(at: number): void {
    this.begunAt = at;
  }

  /** First frame on screen. Later calls are ignored. */
  firstFrame(at: number): void {
    if (this.begunAt !== null && this.startTimeMs === null) this.startTimeMs = Math.max(0, Math.round(at - this.begunAt));
  }

  moving(at: number): void {
    this.runningSince ??= at;
  }

  still(at: number): void {
    if (this.runningSince === null) return;
    this.watchedMs += Math.max(0, at - this.runningSince);
    this.runningSince = null;
  }

  /** The element ran out of data. Before the first frame that is the start itself, not an interruption. */
  starved(at: number): void {
    if (this.startTimeMs !== null && this.runningSince !== null) this.rebuffers += 1;
    this.still(at);
  }

  looped(): void {
    this.loops += 1;
  }

  totals(at: number): WatchTotals {
    const running = this.runningSince === null ? 0 : Math.max(0, at - this.runningSince);
    return {
      watchedMs: Math.round(this.watchedMs + running),
      rebuffers: this.rebuffers,
      loops: this.loops,
      startTimeMs: this.startTimeMs,
    };
  }

  get begun(): boolean {
    return this.begunAt !== null;
  }

  reset(): void {
    this.watchedMs = 0;
    this.rebuffers = 0;
    this.loops = 0;
    this.startTimeMs = null;
    this.runningSince = null;
    this.begunAt = null;
  }
}
