/** Thumbhash (base64, about 25 bytes) to a data URL, remembered: the same clip is asked for on many screens. */
import { thumbHashToDataURL } from "thumbhash";

const CAPACITY = 200;
const known = new Map<string, string>();

export function placeholderUrl(thumbhash: string): string {
  if (!thumbhash) return "";
  const hit = known.get(thumbhash);
  if (hit !== undefined) return hit;
  let url = "";
  try {
    url = thumbHashToDataURL(Uint8Array.from(atob(thumbhash), (char) => char.charCodeAt(0)));
  } catch {
    url = ""; // not a thumbhash: the poster alone will do
  }
  if (known.size >= CAPACITY) known.delete(known.keys().next().value!);
  known.set(thumbhash, url);
  return url;
}
