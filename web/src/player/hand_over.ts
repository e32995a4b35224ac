/**
 * From the progressive element to a stream without a visible seam: the follower loads from a point shortly ahead, waits
 * there, and is shown when the lead reaches the same instant. The lead stays visible until the follower has a frame.
 */
import { bufferedAhead } from "./clip";
import { onNextFrame } from "./start_clock";
import type { Stream } from "./stream";

/** How far ahead the meeting point lies: time to fetch a fragment of the higher rung. */
const LEAD_S = 2;
/** A clip with less left than this is not worth the change before its next loop. */
const TAIL_S = 2.5;
const GIVE_UP_MS = 12_000;
/** Half a frame at 30/s. */
const NEAR_S = 0.02;

type Parts = {
  lead: HTMLVideoElement;
  follower: HTMLVideoElement;
  host: HTMLElement;
  open: (startAt: number) => Stream | null;
  onDone: (stream: Stream) => void;
  onGiveUp: () => void;
};

export class HandOver {
  private frame = 0;
  private ended = false;
  private readonly startedAt = performance.now();

  private constructor(
    private readonly parts: Parts,
    private readonly stream: Stream,
    private meetAt: number,
  ) {}

  static begin(parts: Parts): HandOver | null {
    const { lead, follower, host } = parts;
    const meetAt = meetingPoint(lead.currentTime, lead.duration);
    follower.muted = true;
    follower.style.opacity = "0";
    host.append(follower);
    const stream = parts.open(Math.max(0.001, meetAt));
    if (!stream) {
      follower.remove();
      return null;
    }
    const handOver = new HandOver(parts, stream, meetAt);
    handOver.watch();
    return handOver;
  }

  cancel(): void {
    if (this.ended) return;
    this.ended = true;
    cancelAnimationFrame(this.frame);
    this.stream.close();
    this.parts.follower.remove();
  }

  private watch(): void {
    this.frame = requestAnimationFrame(() => {
      if (this.ended) return;
      if (performance.now() - this.startedAt > GIVE_UP_MS) {
        this.cancel();
        this.parts.onGiveUp();
      } else if (this.meets()) this.swap();
      else this.watch();
    });
  }

  /** Whether the lead is at the meeting point and the follower is ready there; a missed point moves on. */
  private meets(): boolean {
    const { lead, follower } = this.parts;
    const ready = follower.readyState >= 3 && bufferedAhead(follower.buffered, this.meetAt) > 0.8;
    const ahead = this.meetAt - lead.currentTime;
    if (ready && Math.abs(ahead) <= NEAR_S) return true;
    const passed = ahead < -NEAR_S && ahead > -LEAD_S * 2;
    if (passed) {
      this.meetAt = meetingPoint(lead.currentTime, lead.duration);
      follower.currentTime = this.meetAt;
    }
    return false;
  }

  private swap(): void {
    const { follower, lead, onDone } = this.parts;
    follower.playbackRate = lead.playbackRate;
    onNextFrame(follower, () => {
      if (this.ended) return; // the viewer moved on in the meantime
      this.ended = true;
      follower.style.opacity = "";
      this.stream.run();
      onDone(this.stream);
    });
    void follower.play().catch(() => undefined);
  }
}

/** A point the lead will reach soon; near the end, the start of the next loop. */
export function meetingPoint(now: number, duration: number): number {
  const point = now + LEAD_S;
  return Number.isFinite(duration) && duration - point < TAIL_S ? 0.05 : point;
}
