/** The words of the clip being watched, in the viewer's language: the browser reads the WebVTT, we place the text. */
import { useEffect, useState } from "preact/hooks";
import type { CaptionTrack, FeedItem } from "../api/types";
import { language } from "../i18n/i18n";
import { preferences } from "../session/preferences";
import type { Deck } from "./deck";

/** Pure: the track to show. `wanted` is the language chosen before, `spoken` the app's own; null when captions are off. */
export function trackFor(tracks: readonly CaptionTrack[], on: boolean, wanted: string, spoken: string): CaptionTrack | null {
  if (!on) return null;
  const base = (tag: string): string => tag.split("-")[0]!.toLowerCase();
  const by = (tag: string): CaptionTrack | undefined => tracks.find(({ lang }) => lang === tag) ?? tracks.find(({ lang }) => base(lang) === base(tag));
  return by(wanted || spoken) ?? by(spoken) ?? tracks[0] ?? null;
}

export function Subtitles({ item, deck }: { item: FeedItem; deck: Deck }) {
  const { captions, captionLanguage } = preferences.value;
  const track = trackFor(item.captions ?? [], captions, captionLanguage, language.value);
  const [lines, setLines] = useState<string[]>([]);
  useEffect(() => {
    const element = deck.elementOf(item.id);
    setLines([]);
    if (!element || !track) return;
    return showCues(element, track, setLines);
  }, [deck, item.id, track?.url]);
  if (lines.length === 0 || !track) return null;
  return (
    <p class="subtitles" lang={track.lang} dir="auto">
      {lines.map((line, index) => (
        <span key={index}>{line}</span>
      ))}
    </p>
  );
}

/** Calls `onLines` with the text of the cues of every moment; returns a function that takes the track away. */
function showCues(element: HTMLVideoElement, { lang, url }: CaptionTrack, onLines: (lines: string[]) => void): () => void {
  const node = document.createElement("track");
  node.kind = "captions";
  node.srclang = lang;
  node.src = url;
  element.append(node);
  node.track.mode = "hidden"; // read, but not drawn by the browser: it would lie under our words
  const change = (): void => onLines([...(node.track.activeCues ?? [])].flatMap((cue) => textOf(cue as VTTCue)));
  node.track.addEventListener("cuechange", change);
  return () => {
    node.track.removeEventListener("cuechange", change);
    node.remove();
  };
}

/** The lines of a cue without its markup. */
function textOf(cue: VTTCue): string[] {
  return (cue.getCueAsHTML().textContent ?? "").split("\n").filter((line) => line.trim() !== "");
}
