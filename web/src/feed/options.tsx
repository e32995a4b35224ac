/** What a viewer can do about a clip and about playing: speed, captions, data, "not interested", why it is here. */
import { AudioLines, Captions, Columns2, EyeOff, Gauge, Leaf, Link2, Scissors, Sparkles, ThumbsUp } from "lucide-preact";
import { api } from "../api/calls";
import type { CaptionTrack, FeedItem } from "../api/types";
import { language, languageName, t } from "../i18n/i18n";
import { Sheet } from "../parts/sheet";
import { toast } from "../parts/toast";
import { links, navigate } from "../routing/router";
import { withAccount } from "../session/gate";
import { prefer, preferences } from "../session/preferences";
import type { Deck } from "./deck";
import { copyLink, tell } from "./engagement";
import type { FeedList } from "./feed_list";
import { trackFor } from "./subtitles";

const SPEEDS = [0.5, 1, 1.5, 2];
const REMIXES = [["duet", Columns2], ["stitch", Scissors]] as const;
type Props = { item: FeedItem; list: FeedList; deck: Deck; onClose: () => void; onSkip: () => void };

export function Options({ item, deck, onClose, onSkip }: Props) {
  const { speed, dataSaver } = preferences.value;
  const skip = (): void => {
    deck.act({ notInterested: true });
    void api.steerFeed({ action: "not_interested", videoId: item.id }).catch(() => undefined); // the watch event says it too
    toast(t("notInterestedDone"));
    onClose();
    onSkip();
  };
  const more = (): void => {
    api.steerFeed({ action: "more", videoId: item.id }).then(() => toast(t("moreLikeThisDone")), tell);
    onClose();
  };
  const useSound = (): void => {
    withAccount(() => {
      api.soundOf(item.id).then(({ id }) => navigate(links.uploadWith(id)), tell);
    });
    onClose();
  };
  const copy = (): void => {
    copyLink(new URL(links.video(item.id), location.origin).href).catch(tell);
    onClose();
  };
  return (
    <Sheet title={t("options")} onClose={onClose} class="sheet-small">
      {item.why?.text && (
        <div class="why">
          <Sparkles size={20} aria-hidden="true" />
          <div>
            <h3>{t("whyThis")}</h3>
            <p dir="auto">{item.why.text}</p>
          </div>
        </div>
      )}
      <div class="option-row" role="radiogroup" aria-label={t("speed")}>
        <Gauge size={20} aria-hidden="true" />
        <span>{t("speed")}</span>
        <div class="segmented">
          {SPEEDS.map((value) => (
            <button
              key={value}
              type="button"
              role="radio"
              aria-checked={speed === value}
              onClick={() => {
                prefer({ speed: value });
                deck.applySound();
              }}
            >
              {value}×
            </button>
          ))}
        </div>
      </div>
      {(item.captions?.length ?? 0) > 0 && <CaptionRow tracks={item.captions!} />}
      <label class="option-row">
        <Leaf size={20} aria-hidden="true" />
        <span>
          {t("dataSaver")}
          <small>{t("dataSaverHint")}</small>
        </span>
        <input
          type="checkbox"
          role="switch"
          class="switch"
          checked={dataSaver === "on"}
          onChange={(event) => prefer({ dataSaver: event.currentTarget.checked ? "on" : "auto" })}
        />
      </label>
      <button type="button" class="option-row" onClick={more}>
        <ThumbsUp size={20} aria-hidden="true" />
        <span>{t("moreLikeThis")}</span>
      </button>
      <button type="button" class="option-row" onClick={skip}>
        <EyeOff size={20} aria-hidden="true" />
        <span>{t("notInterested")}</span>
      </button>
      <button type="button" class="option-row" onClick={useSound}>
        <AudioLines size={20} aria-hidden="true" />
        <span>{t("useSound")}</span>
      </button>
      {REMIXES.map(([layout, Picture]) => (
        <a key={layout} class="option-row" href={links.remix(item.id, layout)}>
          <Picture size={20} aria-hidden="true" />
          <span>{t(layout)}</span>
        </a>
      ))}
      <button type="button" class="option-row" onClick={copy}>
        <Link2 size={20} aria-hidden="true" />
        <span>{t("copyLink")}</span>
      </button>
    </Sheet>
  );
}

function CaptionRow({ tracks }: { tracks: readonly CaptionTrack[] }) {
  const { captions, captionLanguage } = preferences.value;
  const shown = trackFor(tracks, captions, captionLanguage, language.value);
  const choose = (lang: string): void => prefer(lang === "" ? { captions: false } : { captions: true, captionLanguage: lang });
  return (
    <label class="option-row">
      <Captions size={20} aria-hidden="true" />
      <span>{t("captions")}</span>
      <select value={shown?.lang ?? ""} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">{t("captionsOff")}</option>
        {tracks.map(({ lang }) => (
          <option key={lang} value={lang}>
            {languageName(lang)}
          </option>
        ))}
      </select>
    </label>
  );
}
