/** One clip in the feed: picture, poster until the first frame, words and actions. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Heart, Pause, Play, TriangleAlert, Volume2, VolumeX } from "lucide-preact";
import type { FeedItem } from "../api/types";
import { t } from "../i18n/i18n";
import { placeholderUrl } from "../parts/thumbhash";
import { prefer, preferences } from "../session/preferences";
import { Caption } from "./caption";
import type { Deck } from "./deck";
import { setLike } from "./engagement";
import type { FeedList } from "./feed_list";
import { Progress } from "./progress";
import { Rail } from "./rail";
import { Subtitles } from "./subtitles";

type Props = {
  item: FeedItem;
  position: number;
  total: number;
  active: boolean;
  /** Next to the active one, or the active one itself. */
  near: boolean;
  deck: Deck;
  list: FeedList;
  onComments: () => void;
  onOptions: () => void;
};

/** A second tap within this time is a like. */
const DOUBLE_TAP_MS = 280;

export function Slide({ item, position, total, active, near, deck, list, onComments, onOptions }: Props) {
  const host = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    deck.mount(item, host.current!);
    return () => deck.unmount(item.id);
  }, [deck, item.id]);
  const ratio = item.width > 0 && item.height > 0 ? item.width / item.height : 9 / 16;
  const placeholder = placeholderUrl(item.thumbhash);
  return (
    <article
      class={`slide ${active ? "is-active" : ""}`}
      style={{ "--index": position, "--ratio": ratio }}
      aria-posinset={position + 1}
      aria-setsize={total}
      aria-label={t("videoBy", { name: item.user.displayName, title: item.title })}
      inert={!active}
      data-video-id={item.id}
    >
      <div class="stage" data-shape={ratio > 1.05 ? "wide" : ratio > 0.75 ? "square" : "tall"}>
        <div class="backdrop" style={{ backgroundImage: placeholder ? `url("${placeholder}")` : "none" }} />
        <Poster src={item.thumbnail} deck={deck} near={near} />
        <div class="picture" ref={host} />
        <div class="shade" />
        {active && <Controls item={item} deck={deck} list={list} />}
        <div class="foot">
          {active && <Subtitles item={item} deck={deck} />}
          <Caption item={item} />
        </div>
        {active && <Progress deck={deck} />}
      </div>
      <Rail item={item} list={list} deck={deck} onComments={onComments} onOptions={onOptions} />
    </article>
  );
}

/** Fetched once the clip being watched is safe, and for its neighbours: beside a start it would only take its line. */
function Poster({ src, deck, near }: { src: string; deck: Deck; near: boolean }) {
  const [broken, setBroken] = useState(false);
  const allowed = useRef(false);
  if (near && deck.settled.value) allowed.current = true;
  if (!src || broken || !allowed.current) return null;
  return <img class="poster" src={src} alt="" decoding="async" draggable={false} onError={() => setBroken(true)} />;
}

type Burst = { id: number; x: number; y: number };

function Controls({ item, deck, list }: { item: FeedItem; deck: Deck; list: FeedList }) {
  const [burst, setBurst] = useState<Burst | null>(null);
  const [flash, setFlash] = useState<"play" | "pause" | null>(null);
  const lastTap = useRef(0);
  useEffect(() => {
    if (!burst) return;
    const timer = setTimeout(() => setBurst(null), 900);
    return () => clearTimeout(timer);
  }, [burst]);

  const tap = (event: MouseEvent): void => {
    const double = event.timeStamp - lastTap.current < DOUBLE_TAP_MS;
    lastTap.current = event.timeStamp;
    setFlash(deck.toggle() ? "pause" : "play");
    if (!double) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    setBurst({ id: event.timeStamp, x: event.clientX - box.left, y: event.clientY - box.top });
    setLike(list, deck, item, true);
  };
  const state = deck.state.value;
  return (
    <>
      <button type="button" class="tap" aria-label={t(state === "paused" ? "play" : "pause")} onClick={tap}>
        {state === "paused" && flash && <span class="big-icon">{<Play size={64} fill="currentColor" aria-hidden="true" />}</span>}
        {state === "playing" && flash === "play" && (
          <span class="big-icon is-fading">
            <Pause size={64} fill="currentColor" aria-hidden="true" />
          </span>
        )}
        {state === "failed" && (
          <span class="failed">
            <TriangleAlert size={28} aria-hidden="true" /> {t("cannotPlay")}
          </span>
        )}
      </button>
      {state === "waiting" && <span class="loading-line" aria-hidden="true" />}
      {burst && (
        <span key={burst.id} class="heart-burst" style={{ left: burst.x, top: burst.y }} aria-hidden="true">
          <Heart size={96} fill="currentColor" />
        </span>
      )}
      <SoundButton deck={deck} />
    </>
  );
}

function SoundButton({ deck }: { deck: Deck }) {
  const muted = preferences.value.muted || deck.soundBlocked.value;
  return (
    <button
      type="button"
      class="sound-button"
      aria-label={muted ? undefined : t("mute")}
      data-no-swipe
      onClick={() => {
        prefer({ muted: !muted });
        deck.applySound();
      }}
    >
      {muted ? <VolumeX size={20} aria-hidden="true" /> : <Volume2 size={20} aria-hidden="true" />}
      {muted && <span>{t("tapForSound")}</span>}
    </button>
  );
}
