/** Where the clip is, and a handle to move it: thin until touched. */
import { useRef, useState } from "preact/hooks";
import { clock, t } from "../i18n/i18n";
import type { Deck } from "./deck";

const KEY_STEP_S = 2;

export function Progress({ deck }: { deck: Deck }) {
  const bar = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<number | null>(null);
  const duration = deck.duration.value || 1;
  const at = drag ?? deck.time.value;
  const share = Math.min(1, at / duration);

  const pointAt = (event: PointerEvent): number => {
    const box = bar.current!.getBoundingClientRect();
    const along = (event.clientX - box.left) / box.width;
    const forward = document.documentElement.dir === "rtl" ? 1 - along : along;
    return Math.min(1, Math.max(0, forward)) * duration;
  };
  const step = (event: KeyboardEvent): void => {
    const sign = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!sign) return;
    event.preventDefault();
    event.stopPropagation();
    const rtl = document.documentElement.dir === "rtl" ? -1 : 1;
    deck.seek(Math.min(duration - 0.05, Math.max(0, at + sign * rtl * KEY_STEP_S)));
  };

  return (
    <div
      ref={bar}
      class={`progress ${drag === null ? "" : "is-dragged"}`}
      role="slider"
      tabIndex={0}
      aria-label={t("seek")}
      aria-valuemin={0}
      aria-valuemax={Math.round(duration)}
      aria-valuenow={Math.round(at)}
      aria-valuetext={`${clock(at)} / ${clock(duration)}`}
      data-no-swipe
      onKeyDown={step}
      onPointerDown={(event) => {
        bar.current!.setPointerCapture(event.pointerId);
        setDrag(pointAt(event));
      }}
      onPointerMove={(event) => drag !== null && setDrag(pointAt(event))}
      onPointerUp={(event) => {
        if (drag !== null) deck.seek(pointAt(event));
        setDrag(null);
      }}
      onPointerCancel={() => setDrag(null)}
    >
      <div class="progress-track">
        <div class="progress-fill" style={{ inlineSize: `${share * 100}%` }} />
      </div>
      {drag !== null && (
        <output class="progress-time">
          {clock(at)} <small>/ {clock(duration)}</small>
        </output>
      )}
    </div>
  );
}
