/** Where a video is dropped or chosen: what may be posted, an upload to go on with, and clear refusals. */
import { useEffect, useRef, useState } from "preact/hooks";
import { CircleAlert, CloudUpload, RotateCcw } from "lucide-preact";
import { api } from "../api/calls";
import type { UploadLimits } from "../api/types";
import { clock, size, t, tn } from "../i18n/i18n";
import { me } from "../session/session";
import { keepDraft, matches, readDraft } from "../upload/draft";

/** What this account may post; null for guests, and as long as it is not known. */
function useLimits(): UploadLimits | null {
  const [limits, setLimits] = useState<UploadLimits | null>(null);
  const who = me.value?.id;
  useEffect(() => {
    if (who) api.uploadLimits().then(setLimits, () => setLimits(null)); // the origin says no by itself
  }, [who]);
  return limits;
}

function limitWords({ maxDurationMs, maxFileBytes, uploadsLeft }: UploadLimits): string {
  return `${t("uploadLimits", { minutes: clock(maxDurationMs / 1000), size: size(maxFileBytes) })} · ${tn("uploadsLeft", uploadsLeft)}`;
}

/** Why a file would be refused, before a byte of it is sent; null when nothing speaks against it. */
function refusalOf(file: File, { maxFileBytes, uploadsLeft }: UploadLimits): string | null {
  if (file.size > maxFileBytes) return t("tooLarge", { size: size(maxFileBytes) });
  if (file.size === 0) return t("notAVideo");
  return uploadsLeft > 0 ? null : t("noUploadsLeft");
}

export function DropZone({ onFile }: { onFile: (file: File) => void }) {
  const [over, setOver] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const limits = useLimits();
  const [draft, setDraft] = useState(readDraft);
  const input = useRef<HTMLInputElement>(null);
  const take = (file: File | undefined): void => {
    if (!file) return;
    const plausible = file.type === "" || file.type.startsWith("video/") || /\.(mkv|mov|avi|ts|m4v)$/i.test(file.name);
    const goesOn = draft !== null && matches(draft, file);
    const refusal = plausible ? (goesOn || !limits ? null : refusalOf(file, limits)) : t("notAVideo");
    setWrong(refusal);
    if (refusal === null) onFile(file);
  };
  return (
    <>
      {draft && (
        <div class="resume">
          <RotateCcw size={22} aria-hidden="true" />
          <div>
            <strong dir="auto">{t("resumeUpload", { name: draft.name })}</strong>
            <small>{t("resumeHint", { percent: Math.floor(draft.share * 100) })}</small>
          </div>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              void api.deleteVideo(draft.videoId).catch(() => undefined); // an unfinished upload also expires by itself
              keepDraft(null);
              setDraft(null);
            }}
          >
            {t("discardUpload")}
          </button>
        </div>
      )}
      <div
        class={`drop-zone ${over ? "is-over" : ""}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          take(event.dataTransfer?.files[0]);
        }}
      >
        <span class="drop-icon">
          <CloudUpload size={44} strokeWidth={1.6} aria-hidden="true" />
        </span>
        <h2>{t("uploadDrop")}</h2>
        <p>{limits ? limitWords(limits) : t("uploadHint")}</p>
        <button type="button" class="button primary" onClick={() => input.current?.click()}>
          {t("chooseFile")}
        </button>
        <input
          ref={input}
          type="file"
          class="visually-hidden"
          tabIndex={-1}
          aria-label={t("chooseFile")}
          accept="video/*,.mkv,.mov,.ts"
          onChange={(event) => take(event.currentTarget.files?.[0])}
        />
        {wrong && (
          <p class="form-problem" role="alert">
            <CircleAlert size={18} aria-hidden="true" /> {wrong}
          </p>
        )}
      </div>
    </>
  );
}
