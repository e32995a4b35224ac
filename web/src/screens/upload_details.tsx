/** The form beside the preview: words, audience, trim, filter and cover. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Check, CircleAlert } from "lucide-preact";
import type { Completion, Edits } from "../api/types";
import { Problem } from "../api/http";
import { clock, t } from "../i18n/i18n";
import { type Facts, filmStrip } from "../upload/inspect";
import type { Sending } from "./upload";

type Props = {
  file: File;
  url: string;
  facts: Facts | null;
  sending: Sending;
  onRetry: () => void;
  onChange: () => void;
  onPost: (details: Completion) => Promise<void>;
};

/** CSS twins of the packager's presets: what is seen here is what will be made. */
type Look = NonNullable<Edits["look"]>;

export const FILTERS: readonly (readonly [Look, string])[] = [
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
const STRIP_FRAMES = 8;
const SHORTEST_S = 1;
const VISIBILITIES = [["public", "public"], ["followers", "followersOnly"], ["unlisted", "unlisted"], ["private", "private"]] as const;

/** Pure: "#A, b c" -> ["a", "b", "c"], without doubles, at most 30. */
export function hashtagsIn(text: string): string[] {
  const words = text.split(/[\s,#]+/).map((word) => word.trim().toLowerCase().replace(/[^\p{L}\p{N}_]/gu, ""));
  return [...new Set(words.filter(Boolean))].slice(0, 30);
}

export type Edit = { start: number; end: number; look: Look; cover: number; speed: number; mute: boolean };

const UNTOUCHED: Omit<Edit, "start" | "end"> = { look: "none", cover: 0, speed: 1, mute: false };
const SPEEDS = [0.5, 1, 1.5, 2];

/** Pure: only what differs from the file as it is. The cover is on the clock of the result, the trim on the source's. */
export function editsOf({ start, end, look, cover, speed, mute }: Edit, durationS: number): Edits | null {
  const edits: Edits = {};
  const ms = (seconds: number): number => Math.round(seconds * 1000);
  if (start > 0.05) edits.trimStartMs = ms(start);
  if (end < durationS - 0.05) edits.trimEndMs = ms(end);
  if (look !== "none") edits.look = look;
  if (speed !== 1) edits.speed = speed;
  if (mute) edits.mute = true;
  if (cover > 0) edits.thumbnailMs = ms(Math.max(0, Math.min(cover, end) - start) / speed);
  return Object.keys(edits).length > 0 ? edits : null;
}

export function UploadDetails({ file, url, facts, sending, onRetry, onChange, onPost }: Props) {
  const durationS = (facts?.durationMs ?? 0) / 1000;
  const [edit, setEdit] = useState<Edit>({ start: 0, end: durationS, ...UNTOUCHED });
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const values = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => String(values.get(name) ?? "").trim();
    setBusy(true);
    setProblem(null);
    onPost({
      title: text("title"),
      description: text("description"),
      hashtags: hashtagsIn(text("hashtags")),
      musicId: null,
      visibility: (VISIBILITIES.find(([value]) => value === text("visibility")) ?? VISIBILITIES[0])[0],
      edits: facts ? editsOf(edit, durationS) : null,
    })
      .catch((error: unknown) => setProblem(error instanceof Problem ? error.message : String(error)))
      .finally(() => setBusy(false));
  };
  return (
    <form class="upload-form" onSubmit={submit}>
      <div class="upload-preview">
        {facts ? <Preview url={url} edit={edit} durationS={durationS} /> : <p class="no-preview">{file.name}</p>}
        <button type="button" class="text-button" onClick={onChange}>
          {t("changeFile")}
        </button>
      </div>
      <div class="upload-words">
        <SendingLine sending={sending} onRetry={onRetry} />
        <label class="field">
          <span>{t("title")}</span>
          <input name="title" required maxLength={150} placeholder={t("titleHint")} defaultValue={nameOf(file)} dir="auto" />
        </label>
        <label class="field">
          <span>{t("description")}</span>
          <textarea name="description" rows={3} maxLength={2000} dir="auto" />
        </label>
        <label class="field">
          <span>{t("hashtags")}</span>
          <input name="hashtags" maxLength={300} placeholder={t("hashtagsHint")} autocomplete="off" dir="auto" />
        </label>
        {facts && <Shaping url={url} durationS={durationS} edit={edit} onEdit={setEdit} />}
        <label class="field">
          <span>{t("visibility")}</span>
          <select name="visibility">
            {VISIBILITIES.map(([value, key]) => (
              <option key={value} value={value}>
                {t(key)}
              </option>
            ))}
          </select>
        </label>
        {problem && (
          <p class="form-problem" role="alert">
            <CircleAlert size={18} aria-hidden="true" /> {problem}
          </p>
        )}
        <button type="submit" class="button primary wide" disabled={!sending.done || busy}>
          {busy ? <span class="spinner small" aria-hidden="true" /> : t("post")}
        </button>
      </div>
    </form>
  );
}

function nameOf(file: File): string {
  return file.name.replace(/\.\w+$/, "").replace(/[_-]+/g, " ");
}

function SendingLine({ sending, onRetry }: { sending: Sending; onRetry: () => void }) {
  const percent = Math.floor(sending.share * 100);
  if (sending.problem)
    return (
      <div class="sending is-bad" role="alert">
        <span>
          <CircleAlert size={18} aria-hidden="true" /> {sending.problem}
        </span>
        <button type="button" class="text-button" onClick={onRetry}>
          {t("tryAgain")}
        </button>
      </div>
    );
  return (
    <div class={`sending ${sending.done ? "is-done" : ""}`} data-testid="sending">
      <span>
        {sending.done && <Check size={18} aria-hidden="true" />} {t("uploading")} {percent}%
      </span>
      <progress value={sending.share} max={1} aria-label={t("uploading")} />
    </div>
  );
}

function Preview({ url, edit, durationS }: { url: string; edit: Edit; durationS: number }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current!;
    if (element.currentTime < edit.start || element.currentTime > edit.end) element.currentTime = edit.start;
  }, [edit.start, edit.end]);
  const keepInside = (): void => {
    const element = video.current;
    if (element) element.playbackRate = edit.speed;
    if (element && edit.end < durationS && element.currentTime >= edit.end) element.currentTime = edit.start;
  };
  const filter = FILTERS.find(([name]) => name === edit.look)?.[1] ?? "none";
  return <video ref={video} src={url} style={{ filter }} muted loop autoplay playsInline controls onTimeUpdate={keepInside} />;
}

type ShapingProps = { url: string; durationS: number; edit: Edit; onEdit: (edit: Edit) => void };

function Shaping({ url, durationS, edit, onEdit }: ShapingProps) {
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
        {label} <output>{clock(value)}</output>
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
            {name}
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
