/** What the owner asks to be done to the clip, as the form holds it and as the API takes it. Pure. */
import type { Edits } from "../api/types";

export type Look = NonNullable<Edits["look"]>;

/** A sound of the library under the clip. `startS` is on the sound's clock; volumes from 0 to 1. */
export type ChosenSound = { id: string; title: string; artist: string; durationS: number; audioUrl: string | null; startS: number; volume: number; original: number };

/** The video a duet stands beside or a stitch begins with. */
export type ChosenPartner = { id: string; layout: "duet" | "stitch"; title: string; name: string };

/** Times in seconds on the source's clock. */
export type Edit = { start: number; end: number; look: Look; cover: number; speed: number; mute: boolean; sound: ChosenSound | null; partner: ChosenPartner | null };

/** How much of the other video a stitch begins with: the most there may be. */
const STITCH_MS = 5_000;

export const UNTOUCHED: Omit<Edit, "start" | "end"> = { look: "none", cover: 0, speed: 1, mute: false, sound: null, partner: null };

/** Only what differs from the file as it is. The cover is on the clock of the result, the trim on the source's. */
export function editsOf({ start, end, look, cover, speed, mute, sound, partner }: Edit, durationS: number): Edits | null {
  const edits: Edits = {};
  const ms = (seconds: number): number => Math.round(seconds * 1000);
  if (start > 0.05) edits.trimStartMs = ms(start);
  if (end < durationS - 0.05) edits.trimEndMs = ms(end);
  if (look !== "none") edits.look = look;
  if (speed !== 1) edits.speed = speed;
  if (mute) edits.mute = true;
  if (cover > start) edits.thumbnailMs = ms((Math.min(cover, end) - start) / speed);
  if (sound) edits.sound = { startMs: ms(sound.startS), volume: sound.volume, originalVolume: mute ? 0 : sound.original };
  if (partner) edits.partner = { layout: partner.layout, stitchMs: STITCH_MS, volume: 1 };
  return Object.keys(edits).length > 0 ? edits : null;
}
