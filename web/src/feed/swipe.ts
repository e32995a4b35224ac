/** Vertical swipes, wheel and keys as "go to the previous or next clip", and the drag in between as an offset. */

export type SwipeHandlers = {
  /** Pixels the track is dragged from its resting place; null when it should settle. */
  onDrag: (offset: number | null) => void;
  onStep: (step: 1 | -1, at: number) => void;
  canStep: (step: 1 | -1) => boolean;
};

/** A flick faster than this counts whatever its length (px/ms). */
const FLICK = 0.35;
/** A slow drag counts past this share of the height. */
const FAR = 0.22;
const SLOP_PX = 8;
/** Wheels and trackpads send a train of events for one intention. */
const WHEEL_THRESHOLD = 40;
const WHEEL_QUIET_MS = 160;
const STEP_PAUSE_MS = 320;

/** Pure: the step that a finished drag means. `offset` in px (negative = up), `speed` in px/ms, `height` in px. */
function stepOf(offset: number, speed: number, height: number): 1 | -1 | 0 {
  const flicked = Math.abs(speed) > FLICK && Math.sign(speed) === Math.sign(offset);
  if (!flicked && Math.abs(offset) < height * FAR) return 0;
  return offset < 0 ? 1 : -1;
}

export function attachSwipe(target: HTMLElement, handlers: SwipeHandlers): () => void {
  const ends = [attachDrag(target, handlers), attachWheel(target, handlers)];
  return () => ends.forEach((end) => end());
}

type Drag = { id: number; startY: number; startX: number; lastY: number; lastAt: number; speed: number; moved: boolean };

function attachDrag(target: HTMLElement, { onDrag, onStep, canStep }: SwipeHandlers): () => void {
  const teardown = new AbortController();
  let drag: Drag | null = null;

  const down = (event: PointerEvent): void => {
    if (event.button !== 0 || (event.target as Element).closest("[data-no-swipe]")) return;
    const { clientX, clientY, pointerId, timeStamp } = event;
    drag = { id: pointerId, startY: clientY, startX: clientX, lastY: clientY, lastAt: timeStamp, speed: 0, moved: false };
  };
  const move = (event: PointerEvent): void => {
    if (!drag || event.pointerId !== drag.id) return;
    const offset = event.clientY - drag.startY;
    if (!drag.moved) {
      if (Math.abs(offset) < SLOP_PX || Math.abs(event.clientX - drag.startX) > Math.abs(offset)) return;
      drag.moved = true;
      target.setPointerCapture(drag.id);
    }
    const elapsed = Math.max(1, event.timeStamp - drag.lastAt);
    drag.speed = drag.speed * 0.4 + ((event.clientY - drag.lastY) / elapsed) * 0.6;
    drag.lastY = event.clientY;
    drag.lastAt = event.timeStamp;
    onDrag(canStep(offset < 0 ? 1 : -1) ? offset : offset / 3); // at either end the track resists
  };
  const up = (event: PointerEvent): void => {
    if (!drag || event.pointerId !== drag.id) return;
    const { moved, startY, speed } = drag;
    drag = null;
    if (!moved) return;
    const step = event.type === "pointercancel" ? 0 : stepOf(event.clientY - startY, speed, target.clientHeight);
    onDrag(null);
    if (step !== 0 && canStep(step)) onStep(step, performance.now());
    swallowClick(target);
  };
  const options = { signal: teardown.signal };
  target.addEventListener("pointerdown", down, options);
  target.addEventListener("pointermove", move, options);
  target.addEventListener("pointerup", up, options);
  target.addEventListener("pointercancel", up, options);
  return () => teardown.abort();
}

/** The click that ends a drag is not a tap on what lies beneath. */
function swallowClick(target: HTMLElement): void {
  const stop = (event: Event): void => {
    event.stopPropagation();
    event.preventDefault();
  };
  target.addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => target.removeEventListener("click", stop, { capture: true }), 50);
}

function attachWheel(target: HTMLElement, { onStep, canStep }: SwipeHandlers): () => void {
  let travelled = 0;
  let lastAt = 0;
  let steppedAt = -STEP_PAUSE_MS;
  const wheel = (event: WheelEvent): void => {
    if (event.ctrlKey || (event.target as Element).closest("[data-no-swipe]")) return;
    event.preventDefault();
    const now = event.timeStamp;
    if (now - lastAt > WHEEL_QUIET_MS) travelled = 0;
    lastAt = now;
    if (now - steppedAt < STEP_PAUSE_MS) return;
    travelled += event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 32 : event.deltaY;
    if (Math.abs(travelled) < WHEEL_THRESHOLD) return;
    const step = travelled > 0 ? 1 : -1;
    travelled = 0;
    if (!canStep(step)) return;
    steppedAt = now;
    onStep(step, performance.now());
  };
  target.addEventListener("wheel", wheel, { passive: false });
  return () => target.removeEventListener("wheel", wheel);
}
