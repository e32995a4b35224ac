/** Words, audience and captions of a video that is there already. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/calls";
import type { FeedItem, VideoChange } from "../api/types";
import { tell } from "../feed/engagement";
import type { FeedList } from "../feed/feed_list";
import { languageName, t } from "../i18n/i18n";
import { Sheet } from "../parts/sheet";
import { toast } from "../parts/toast";
import { hashtagsIn, VISIBILITIES } from "../upload/words";
import { CaptionFiles, type CaptionFile } from "./upload_captions";

type Props = { item: FeedItem; list: FeedList; onClose: () => void };

export function EditVideo({ item, list, onClose }: Props) {
  const [captions, setCaptions] = useState<CaptionFile[]>([]);
  const [there, setThere] = useState<string[]>(item.captions?.map(({ lang }) => lang) ?? []);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    api.captions(item.id).then(({ captions: known }) => setThere(known.map(({ lang }) => lang)), () => undefined); // what the item said stays
  }, [item.id]);
  const save = async (form: HTMLFormElement): Promise<void> => {
    const change = changeIn(new FormData(form));
    const saved = await api.updateVideo(item.id, change);
    for (const { lang, text } of captions) await api.putCaptions(item.id, lang, text);
    list.patch(item.id, saved);
    toast(t("saved"));
    onClose();
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setBusy(true);
    save(event.currentTarget as HTMLFormElement).catch(tell).finally(() => setBusy(false));
  };
  const drop = (lang: string): void => void api.removeCaptions(item.id, lang).then(() => setThere(there.filter((tag) => tag !== lang)), tell);
  return (
    <Sheet title={t("editVideo")} onClose={onClose}>
      <form class="group-form" onSubmit={submit}>
        <label class="field">
          <span>{t("title")}</span>
          <input name="title" maxLength={150} defaultValue={item.title} dir="auto" />
        </label>
        <label class="field">
          <span>{t("description")}</span>
          <textarea name="description" rows={3} maxLength={2200} defaultValue={item.description} dir="auto" />
        </label>
        <label class="field">
          <span>{t("hashtags")}</span>
          <input name="hashtags" maxLength={300} defaultValue={item.hashtags.join(" ")} autocomplete="off" dir="auto" />
        </label>
        <label class="field">
          <span>{t("visibility")}</span>
          <select name="visibility" defaultValue={item.visibility ?? "public"}>
            {VISIBILITIES.map(([value, key]) => (
              <option key={value} value={value} selected={value === item.visibility}>
                {t(key)}
              </option>
            ))}
          </select>
        </label>
        <Switch name="commentsOpen" label={t("commentsOpen")} on={item.commentsOpen ?? true} />
        <Switch name="remixesOpen" label={t("remixesOpen")} on={item.remixesOpen ?? true} />
        {there.map((lang) => (
          <div key={lang} class="option-row">
            <span>
              {t("captions")}: {languageName(lang)}
            </span>
            <button type="button" class="button" aria-label={`${t("delete")}: ${languageName(lang)}`} onClick={() => drop(lang)}>
              {t("delete")}
            </button>
          </div>
        ))}
        <CaptionFiles files={captions} onChange={setCaptions} />
        <button type="submit" class="button primary wide" disabled={busy}>
          {busy ? <span class="spinner small" aria-hidden="true" /> : t("save")}
        </button>
      </form>
    </Sheet>
  );
}

function changeIn(values: FormData): VideoChange {
  const text = (name: string): string => String(values.get(name) ?? "").trim();
  return {
    title: text("title"),
    description: text("description"),
    hashtags: hashtagsIn(text("hashtags")),
    visibility: (VISIBILITIES.find(([value]) => value === text("visibility")) ?? VISIBILITIES[0])[0],
    commentsOpen: values.has("commentsOpen"),
    remixesOpen: values.has("remixesOpen"),
  };
}

function Switch({ name, label, on }: { name: string; label: string; on: boolean }) {
  return (
    <label class="option-row">
      <span>{label}</span>
      <input type="checkbox" role="switch" class="switch" name={name} defaultChecked={on} />
    </label>
  );
}
