/** A sound of the library under the clip: search, listen, pick, say where it begins and how it mixes. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { AudioLines, ChevronRight, Pause, Play, Search, X } from "lucide-preact";
import { api } from "../api/calls";
import type { LibrarySound } from "../api/types";
import { tell } from "../feed/engagement";
import { clock, t, tn } from "../i18n/i18n";
import { Sheet } from "../parts/sheet";
import { Note, Spinner } from "../parts/states";
import type { ChosenSound } from "../upload/edit";

const SEARCH_AFTER_MS = 200;

/** What a pick means before its sliders are touched: the sound alone, from its start. */
export function chosenOf({ id, title, artist, durationMs, audioUrl }: LibrarySound): ChosenSound {
  return { id, title, artist, durationS: durationMs / 1000, audioUrl: audioUrl ?? null, startS: 0, volume: 1, original: 0 };
}

type Props = { chosen: ChosenSound | null; clipS: number; onChoose: (sound: ChosenSound | null) => void };

export function SoundChoice({ chosen, clipS, onChoose }: Props) {
  const [open, setOpen] = useState(false);
  const latest = chosen ? Math.max(0, chosen.durationS - Math.min(clipS, chosen.durationS)) : 0;
  return (
    <div class="sound-choice">
      <div class="option-row">
        <AudioLines size={20} aria-hidden="true" />
        <button type="button" class="sound-open" onClick={() => setOpen(true)}>
          <span>
            {t("sound")}
            <small dir="auto">{chosen ? [chosen.title, chosen.artist].filter(Boolean).join(" · ") : t("soundNone")}</small>
          </span>
          <ChevronRight size={20} class="mirror" aria-hidden="true" />
        </button>
        {chosen && (
          <button type="button" class="icon-button small" aria-label={t("soundRemove")} onClick={() => onChoose(null)}>
            <X size={18} aria-hidden="true" />
          </button>
        )}
      </div>
      {chosen && (
        <div class="ranges">
          {latest > 0.5 && <Slider label={t("soundStart")} shown={clock(chosen.startS)} value={chosen.startS} max={latest} onChange={(startS) => onChoose({ ...chosen, startS })} />}
          <Slider label={t("soundVolume")} shown={percent(chosen.volume)} value={chosen.volume} max={1} onChange={(volume) => onChoose({ ...chosen, volume })} />
          <Slider label={t("soundOriginal")} shown={percent(chosen.original)} value={chosen.original} max={1} onChange={(original) => onChoose({ ...chosen, original })} />
        </div>
      )}
      {open && (
        <SoundSheet
          onClose={() => setOpen(false)}
          onPick={(sound) => {
            onChoose(chosenOf(sound));
            setOpen(false);
          }}
        />
      )}
    </div>
  );
}

const percent = (share: number): string => `${Math.round(share * 100)}%`;

type SliderProps = { label: string; shown: string; value: number; max: number; onChange: (value: number) => void };

function Slider({ label, shown, value, max, onChange }: SliderProps) {
  return (
    <label class="range">
      <span>
        {label} <span class="value">{shown}</span>
      </span>
      <input type="range" min={0} max={max} step={max / 100} value={value} onInput={(event) => onChange(Number(event.currentTarget.value))} />
    </label>
  );
}

/** What the search came to; `sounds` null while it is under way. */
type Found = { sounds: LibrarySound[] | null; cursor: string | null };

function SoundSheet({ onClose, onPick }: { onClose: () => void; onPick: (sound: LibrarySound) => void }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Found>({ sounds: null, cursor: null });
  const [playing, setPlaying] = useState<string | null>(null);
  const audio = useMemo(() => new Audio(), []);
  useEffect(() => () => audio.pause(), [audio]);
  const asked = useRef("");
  const load = (cursor: string | null): void => {
    const query = asked.current;
    api.sounds(query, cursor).then(({ sounds, nextCursor }) => {
      if (query !== asked.current) return; // another word was typed meanwhile
      const usable = sounds.filter(({ state }) => state === "ready");
      setFound((known) => ({ sounds: [...(cursor ? (known.sounds ?? []) : []), ...usable], cursor: nextCursor ?? null }));
    }, tell);
  };
  useEffect(() => {
    asked.current = text.trim();
    const timer = setTimeout(() => load(null), asked.current ? SEARCH_AFTER_MS : 0);
    return () => clearTimeout(timer);
  }, [text]);
  const listen = (sound: LibrarySound): void => {
    if (playing === sound.id || !sound.audioUrl) {
      audio.pause();
      return setPlaying(null);
    }
    audio.src = sound.audioUrl;
    audio.onended = () => setPlaying(null);
    audio.play().then(() => setPlaying(sound.id), tell);
  };
  return (
    <Sheet title={t("chooseSound")} onClose={onClose}>
      <div class="search-field sound-search">
        <Search size={20} aria-hidden="true" />
        <input
          type="search"
          aria-label={t("searchSounds")}
          placeholder={t("searchSounds")}
          value={text}
          maxLength={100}
          dir="auto"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </div>
      {found.sounds === null ? (
        <Spinner />
      ) : found.sounds.length === 0 ? (
        <Note inside icon={AudioLines} title={text ? t("noResults", { q: text }) : t("noSounds")} />
      ) : (
        <ul class="sounds">
          {found.sounds.map((sound) => (
            <li key={sound.id}>
              <SoundLine sound={sound} playing={playing === sound.id} onListen={() => listen(sound)} onPick={() => onPick(sound)} />
            </li>
          ))}
        </ul>
      )}
      {found.cursor && (
        <button type="button" class="text-button wide" onClick={() => load(found.cursor)}>
          {t("more")}
        </button>
      )}
    </Sheet>
  );
}

type LineProps = { sound: LibrarySound; playing: boolean; onListen: () => void; onPick: () => void };

function SoundLine({ sound, playing, onListen, onPick }: LineProps) {
  const Picture = playing ? Pause : Play;
  return (
    <>
      {sound.audioUrl ? (
        <button type="button" class="icon-button" aria-label={`${t(playing ? "pause" : "play")}: ${sound.title}`} aria-pressed={playing} onClick={onListen}>
          <Picture size={20} fill="currentColor" aria-hidden="true" />
        </button>
      ) : (
        <span class="icon-button" aria-hidden="true">
          <AudioLines size={20} />
        </span>
      )}
      <button type="button" class="sound-pick" onClick={onPick}>
        <strong dir="auto">{sound.title}</strong>
        <small dir="auto">{[sound.artist, clock(sound.durationMs / 1000), tn("videosCount", sound.useCount)].filter(Boolean).join(" · ")}</small>
      </button>
    </>
  );
}
