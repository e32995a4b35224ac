/** The swipe player: a window of slides around the active one, moved by touch, wheel and keys. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ChevronDown, ChevronUp, CloudOff, Sparkles } from "lucide-preact";
import { t } from "../i18n/i18n";
import { Note, Retry, Spinner } from "../parts/states";
import { prefer, preferences } from "../session/preferences";
import { Comments } from "./comments";
import { Deck } from "./deck";
import { setLike } from "./engagement";
import { type FeedList, REFILL_AHEAD } from "./feed_list";
import { Options } from "./options";
import { Slide } from "./slide";
import { attachSwipe } from "./swipe";

/** Slides mounted on either side of the active one. */
const MOUNTED = 2;
/** At the end of what there is, look again this often. */
const ASK_AGAIN_MS = 4_000;

/** What stands where nothing is to be shown, and where to go instead. */
type Empty = { title: string; hint: string; link?: { href: string; label: string } };
type Props = { list: FeedList; startAt?: number; empty?: Empty; onItem?: (id: string) => void };

export function FeedView({ list, startAt = 0, empty, onItem }: Props) {
  const deck = useMemo(() => new Deck(list.source), [list]);
  const viewport = useRef<HTMLDivElement>(null);
  const track = useRef<HTMLDivElement>(null);
  const [index, setIndex] = useState(startAt);
  const [panel, setPanel] = useState<"comments" | "options" | null>(null);
  const items = list.items.value;
  const latest = useRef({ index, count: items.length });
  latest.current = { index, count: items.length };

  const canStep = (step: number): boolean => {
    const to = latest.current.index + step;
    return to >= 0 && to < latest.current.count;
  };
  const step = (by: 1 | -1, at = performance.now()): void => {
    if (!canStep(by)) return;
    const to = latest.current.index + by;
    latest.current.index = to;
    deck.show(list.items.value, to, at); // before rendering: the picture should not wait for the page
    setIndex(to);
  };

  useEffect(() => {
    deck.show(items, index, performance.now());
    if (items.length - index <= REFILL_AHEAD) void list.more();
    const item = items[index];
    if (item) onItem?.(item.id);
  }, [items, index, list, deck]);
  useEffect(() => () => deck.close(), [deck]);
  const nearEnd = items.length - index <= REFILL_AHEAD;
  useEffect(() => {
    if (!nearEnd) return;
    const timer = setInterval(() => void list.more(), ASK_AGAIN_MS); // an empty page means nothing new just then
    return () => clearInterval(timer);
  }, [nearEnd, list]);
  useEffect(() => {
    const stop = attachSwipe(viewport.current!, {
      canStep,
      onStep: step,
      onDrag: (offset) => {
        const { style, classList } = track.current!;
        classList.toggle("is-dragged", offset !== null);
        style.setProperty("--drag", `${offset ?? 0}px`);
      },
    });
    return stop;
  }, [deck]);
  useKeys(deck, list, step, () => setPanel("comments"));
  usePageVisibility(deck);
  useEffect(() => {
    (window as Window & { popreelDeck?: Deck }).popreelDeck = deck; // read by the start bench and by people debugging
  }, [deck]);

  const current = items[index];
  const low = Math.max(0, index - MOUNTED);
  return (
    <div class="feed" ref={viewport}>
      <div class="track" {...(items.length > 0 ? feedRole(list) : {})} ref={track} style={{ "--at": index }}>
        {items.slice(low, index + MOUNTED + 1).map((item, offset) => (
          <Slide
            key={item.id}
            item={item}
            position={low + offset}
            total={items.length}
            active={item.id === current?.id}
            near={Math.abs(low + offset - index) <= 1}
            deck={deck}
            list={list}
            onComments={() => setPanel("comments")}
            onOptions={() => setPanel("options")}
          />
        ))}
      </div>
      {items.length === 0 && <FeedState list={list} {...(empty ? { empty } : {})} />}
      {items.length > 0 && <Arrows canUp={index > 0} canDown={index < items.length - 1} step={step} />}
      {panel === "comments" && current && <Comments item={current} list={list} deck={deck} onClose={() => setPanel(null)} />}
      {panel === "options" && current && (
        <Options item={current} list={list} deck={deck} onClose={() => setPanel(null)} onSkip={() => canStep(1) && step(1)} />
      )}
    </div>
  );
}

/** A feed must have articles: an empty one is only a place. */
function feedRole(list: FeedList) {
  return { role: "feed", "aria-label": t("feedLabel"), "aria-busy": list.loading.value } as const;
}

function FeedState({ list, empty }: { list: FeedList; empty?: Empty }) {
  if (list.problem.value) return <Retry icon={CloudOff} title={t("feedFailed")} hint={list.problem.value.message} onRetry={() => void list.retry()} />;
  if (list.loading.value) return <Spinner />;
  return (
    <Note icon={Sparkles} title={empty?.title ?? t("feedEmpty")} hint={empty?.hint ?? t("feedEmptyHint")}>
      {empty?.link && (
        <a class="button primary" href={empty.link.href}>
          {empty.link.label}
        </a>
      )}
      <button type="button" class="button" onClick={() => void list.retry()}>
        {t("tryAgain")}
      </button>
    </Note>
  );
}

function Arrows({ canUp, canDown, step }: { canUp: boolean; canDown: boolean; step: (by: 1 | -1) => void }) {
  return (
    <div class="arrows">
      <button type="button" class="round-button" aria-label={t("previousVideo")} disabled={!canUp} onClick={() => step(-1)}>
        <ChevronUp aria-hidden="true" />
      </button>
      <button type="button" class="round-button" aria-label={t("nextVideo")} disabled={!canDown} onClick={() => step(1)}>
        <ChevronDown aria-hidden="true" />
      </button>
    </div>
  );
}

function useKeys(deck: Deck, list: FeedList, step: (by: 1 | -1) => void, openComments: () => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.closest("input, textarea, select, dialog, [role=slider]")) return;
      if (!act(event.key, target)) return;
      event.preventDefault();
    };
    const act = (key: string, target: HTMLElement): boolean => {
      const item = deck.current;
      if (key === "ArrowDown" || key === "PageDown" || key === "j") step(1);
      else if (key === "ArrowUp" || key === "PageUp" || key === "k") step(-1);
      else if (key === " " && !target.closest("button, a")) deck.toggle();
      else if (key === "m") {
        prefer({ muted: !preferences.value.muted });
        deck.applySound();
      } else if (key === "l" && item) setLike(list, deck, item, !item.liked);
      else if (key === "c" && item) openComments();
      else return false;
      return true;
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [deck, list]);
}

/** A hidden page does not play: no battery, no data, no watched time that nobody watched. */
function usePageVisibility(deck: Deck): void {
  useEffect(() => {
    let resume = false;
    const change = (): void => {
      if (document.visibilityState === "hidden") {
        resume = deck.state.value === "playing";
        deck.pause();
      } else if (resume) deck.resume();
    };
    document.addEventListener("visibilitychange", change);
    return () => document.removeEventListener("visibilitychange", change);
  }, [deck]);
}
