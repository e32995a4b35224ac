/** Caption files for the clip about to be posted: WebVTT (or SubRip, which is turned into it), one a language. */
import { useState } from "preact/hooks";
import { Captions, Plus, X } from "lucide-preact";
import { language, languageName, t } from "../i18n/i18n";
import { isWebVtt, languageInName, MAX_CAPTION_BYTES, toWebVtt } from "../upload/subtitles";

export type CaptionFile = { lang: string; text: string };

/** Tags offered; a file whose name says another language brings its own. */
const OFFERED = ["ar", "bn", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "uk", "ur", "vi", "zh"];

type Props = { files: CaptionFile[]; onChange: (files: CaptionFile[]) => void };

export function CaptionFiles({ files, onChange }: Props) {
  const [wrong, setWrong] = useState(false);
  const add = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    const text = file.size <= MAX_CAPTION_BYTES ? toWebVtt(await file.text()) : "";
    setWrong(!isWebVtt(text));
    if (!isWebVtt(text)) return;
    const named = languageInName(file.name) || language.value;
    const lang = files.some((known) => known.lang === named) ? (OFFERED.find((tag) => files.every((known) => known.lang !== tag)) ?? named) : named;
    onChange([...files.filter((known) => known.lang !== lang), { lang, text }]);
  };
  const rename = (from: string, to: string): void => {
    if (files.every(({ lang }) => lang !== to)) onChange(files.map((file) => (file.lang === from ? { ...file, lang: to } : file)));
  };
  return (
    <div class="field caption-files">
      <span>{t("captions")}</span>
      {files.map(({ lang }) => (
        <div key={lang} class="option-row">
          <Captions size={20} aria-hidden="true" />
          <select aria-label={t("language")} value={lang} onChange={(event) => rename(lang, event.currentTarget.value)}>
            {[...new Set([...OFFERED, lang])].map((tag) => (
              <option key={tag} value={tag} disabled={tag !== lang && files.some((file) => file.lang === tag)}>
                {languageName(tag)}
              </option>
            ))}
          </select>
          <button type="button" class="icon-button small" aria-label={`${t("delete")}: ${languageName(lang)}`} onClick={() => onChange(files.filter((file) => file.lang !== lang))}>
            <X size={18} aria-hidden="true" />
          </button>
        </div>
      ))}
      <label class="button outline file-button">
        <Plus size={18} aria-hidden="true" /> {t("addCaptions")}
        <input
          type="file"
          class="visually-hidden"
          accept=".vtt,.srt,text/vtt"
          onChange={(event) => {
            void add(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </label>
      {wrong && (
        <small class="form-problem" role="alert">
          {t("notCaptions")}
        </small>
      )}
    </div>
  );
}
