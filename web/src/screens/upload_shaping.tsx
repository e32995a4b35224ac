/** Trim, filter, cover, speed and sound of the clip about to be posted, and the preview that shows them. */
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, type Key, t } from "../i18n/i18n";
import type { ChosenSound, Edit, Look } from "../upload/edit";
import { filmStrip } from "../upload/inspect";
import { SoundChoice } from "./upload_sound";

/** CSS twins of the packager's presets: what is seen here is what will be made. */
const FILTERS: readonly (readonly [Look, string])[] = [
  ["none", "none"],
  ["vivid", "saturate(1.45) contrast(1.08)"],
  ["warm", "sepia(.28) saturate(1.2)"],
  ["cool", "hue-rotate(-12deg) saturate(1.08) brightness(1.03)"],
  ["mono", "grayscale(1)"],
  ["fade", "contrast(.86) brightness(1.08) saturate(.82)"],
  ["sepia", "sepia(.85)"],
  ["noir", "grayscale(1) contrast(1.4) brightness(.92)"],
  ["vintage", "sepia(.45) contrast(.92) saturate(.85)"],
  ["punch", "contrast(1.28) saturate(1.2)"],
  ["dream", "brightness(1.1) saturate(1.15) contrast(.9)"],
];
const SPEEDS = [0.5, 1, 1.5, 2];
const STRIP_FRAMES = 8;
const SHORTEST_S = 1;
type PreviewProps = { url: string; edit: Edit; durationS: number };

export function Preview({ url, edit, durationS }: PreviewProps) {
  const video = useRef<HTMLVideoElement>(null);
  const audio = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const element = video.current!;
    if (element.currentTime < edit.start || element.currentTime > edit.end) element.currentTime = edit.start;
  }, [edit.start, edit.end]);
  useEffect(() => {
    if (video.current) video.current.currentTime = Math.min(edit.cover, Math.max(0, durationS - 0.05)); // show the frame that is chosen
  }, [edit.cover]);
  const follow = (): void => {
    const element = video.current;
    if (!element) return;
    element.playbackRate = edit.speed;
    element.volume = edit.mute ? 0 : edit.sound ? edit.sound.original : 1;
    if (edit.end < durationS && element.currentTime >= edit.end) element.currentTime = edit.start;
    if (audio.current && edit.sound) alongside(audio.current, edit.sound, element, edit);
  };
  const filter = FILTERS.find(([name]) => name === edit.look)?.[1] ?? "none";
  const events = { onTimeUpdate: follow, onPlay: follow, onPause: follow, onSeeked: follow, onVolumeChange: follow };
  return (
    <>
      <video ref={video} src={url} style={{ filter }} muted loop autoplay playsInline controls {...events} />
      {edit.sound?.audioUrl && <audio ref={audio} src={edit.sound.audioUrl} preload="auto" />}
    </>
  );
}

/** The drift of sound against picture that is put right. */
const DRIFT_S = 0.25;

/** Let the library sound run with the preview, as it will in the result: on the result's clock, silent while the preview is. */
function alongside(audio: HTMLAudioElement, sound: ChosenSound, video: HTMLVideoElement, { start, speed }: Edit): void {
  const at = sound.startS + Math.max(0, video.currentTime - start) / speed;
  audio.volume = Math.min(1, sound.volume);
  if (Math.abs(audio.currentTime - at) > DRIFT_S) audio.currentTime = at;
  if (video.paused || video.muted) audio.pause();
  else if (audio.paused) void audio.play().catch(() => undefined); // no gesture yet: silent, like the picture
}

type ShapingProps = { url: string; durationS: number; edit: Edit; onEdit: (edit: Edit) => void };

export function Shaping({ url, durationS, edit, onEdit }: ShapingProps) {
  const [strip, setStrip] = useState<string[]>([]);
  useEffect(() => {
    let here = true;
    void filmStrip(url, STRIP_FRAMES, 96).then((frames) => here && setStrip(frames));
    return () => {
      here = false;
    };
  }, [url]);
  const range = (value: number, label: string, change: (seconds: number) => void) => (
    <label class="range">
      <span>
        {label} <span class="value">{clock(value)}</span>
      </span>
      <input type="range" min={0} max={durationS} step={0.1} value={value} onInput={(event) => change(Number(event.currentTarget.value))} />
    </label>
  );
  return (
    <fieldset class="shaping">
      <legend>{t("trim")}</legend>
      <div class="strip" aria-hidden="true">
        {strip.map((frame, index) => (
          <img key={index} src={frame} alt="" />
        ))}
        <span class="strip-off" style={{ insetInlineStart: 0, inlineSize: `${(edit.start / durationS) * 100}%` }} />
        <span class="strip-off" style={{ insetInlineEnd: 0, inlineSize: `${100 - (edit.end / durationS) * 100}%` }} />
      </div>
      <div class="ranges">
        {range(edit.start, t("trimStart"), (start) => onEdit({ ...edit, start: Math.min(start, edit.end - SHORTEST_S) }))}
        {range(edit.end, t("trimEnd"), (end) => onEdit({ ...edit, end: Math.max(end, edit.start + SHORTEST_S) }))}
      </div>
      <span class="shaping-label">{t("filter")}</span>
      <div class="filters" role="radiogroup" aria-label={t("filter")}>
        {FILTERS.map(([name, css]) => (
          <button key={name} type="button" role="radio" aria-checked={edit.look === name} onClick={() => onEdit({ ...edit, look: name })}>
            <span class="filter-swatch" style={{ backgroundImage: strip[2] ? `url(${strip[2]})` : "none", filter: css }} />
            {t(`look_${name}` as Key)}
          </button>
        ))}
      </div>
      <div class="ranges">{range(edit.cover, t("cover"), (cover) => onEdit({ ...edit, cover }))}</div>
      <div class="option-row" role="radiogroup" aria-label={t("speed")}>
        <span>{t("speed")}</span>
        <div class="segmented">
          {SPEEDS.map((speed) => (
            <button key={speed} type="button" role="radio" aria-checked={edit.speed === speed} onClick={() => onEdit({ ...edit, speed })}>
              {speed}×
            </button>
          ))}
        </div>
      </div>
      <SoundChoice chosen={edit.sound} clipS={(edit.end - edit.start) / edit.speed} onChoose={(sound) => onEdit({ ...edit, sound })} />
      <label class="option-row">
        <span>{t("muteOriginal")}</span>
        <input
          type="checkbox"
          role="switch"
          class="switch"
          checked={edit.mute}
          onChange={(event) => onEdit({ ...edit, mute: event.currentTarget.checked })}
        />
      </label>
    </fieldset>
  );
}
