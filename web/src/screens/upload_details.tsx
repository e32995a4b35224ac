/** The form beside the preview: words, audience, shaping, captions. */
import { useState } from "preact/hooks";
import { Check, CircleAlert, Columns2, X } from "lucide-preact";
import type { Completion } from "../api/types";
import { Problem } from "../api/http";
import { t } from "../i18n/i18n";
import { type ChosenPartner, type ChosenSound, type Edit, editsOf, UNTOUCHED } from "../upload/edit";
import type { Facts } from "../upload/inspect";
import { hashtagsIn, VISIBILITIES } from "../upload/words";
import type { Sending } from "./upload";
import { CaptionFiles, type CaptionFile } from "./upload_captions";
import { Preview, Shaping } from "./upload_shaping";

type Props = {
  file: File;
  url: string;
  facts: Facts | null;
  sending: Sending;
  onRetry: () => void;
  onChange: () => void;
  /** Asked for before the file was chosen: "use this sound", "duet", "stitch". */
  sound: ChosenSound | null;
  partner: ChosenPartner | null;
  onPost: (details: Completion, captions: CaptionFile[]) => Promise<void>;
};

export function UploadDetails({ file, url, facts, sending, sound, partner, onRetry, onChange, onPost }: Props) {
  const durationS = (facts?.durationMs ?? 0) / 1000;
  const [edit, setEdit] = useState<Edit>({ start: 0, end: durationS, ...UNTOUCHED, sound, partner });
  const [captions, setCaptions] = useState<CaptionFile[]>([]);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const values = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => String(values.get(name) ?? "").trim();
    setBusy(true);
    setProblem(null);
    onPost(
      {
        title: text("title"),
        description: text("description"),
        hashtags: hashtagsIn(text("hashtags")),
        musicId: edit.sound?.id ?? null,
        visibility: (VISIBILITIES.find(([value]) => value === text("visibility")) ?? VISIBILITIES[0])[0],
        partnerId: edit.partner?.id ?? null,
        edits: editsOf(edit, durationS),
      },
      captions,
    )
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
        {edit.partner && <PartnerLine partner={edit.partner} onRemove={() => setEdit({ ...edit, partner: null })} />}
        <CaptionFiles files={captions} onChange={setCaptions} />
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

function PartnerLine({ partner: { layout, title, name }, onRemove }: { partner: ChosenPartner; onRemove: () => void }) {
  return (
    <div class="option-row">
      <Columns2 size={20} aria-hidden="true" />
      <span>
        {t(layout)}
        <small dir="auto">{[name, title].filter(Boolean).join(" · ")}</small>
      </span>
      <button type="button" class="icon-button small" aria-label={`${t("delete")}: ${t(layout)}`} onClick={onRemove}>
        <X size={18} aria-hidden="true" />
      </button>
    </div>
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

