/** Common Media Client Data (CTA-5004) for requests that hls.js does not make: keys sorted, strings quoted, false left out. */
import { sessionId } from "../session/device";

export type Cmcd = {
  bl?: number;
  cid?: string;
  d?: number;
  nor?: string;
  nrr?: string;
  ot?: "av" | "m" | "i";
  sf?: "h" | "o";
  sid?: string;
  st?: "v";
  su?: boolean;
};

const TOKENS = new Set(["ot", "sf", "st"]);

function encodeCmcd(data: Cmcd): string {
  return Object.entries(data)
    .filter(([, value]) => value !== undefined && value !== false)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => (value === true ? key : `${key}=${typeof value === "string" && !TOKENS.has(key) ? JSON.stringify(value) : value}`))
    .join(",");
}

const REQUEST_KEYS = new Set(["bl", "nor", "nrr", "su"]);
const OBJECT_KEYS = new Set(["d", "ot"]);

/**
 * The data as CMCD header fields. Headers keep the address clean, so the browser's own cache recognises bytes fetched
 * ahead; same origin, so no preflight (across origins use the query form: docs/decisions/0402).
 */
export function cmcdHeaders(data: Cmcd): Record<string, string> {
  const all: Cmcd = { sid: sessionId, st: "v", ...data };
  const pick = (wanted: (key: string) => boolean): string =>
    encodeCmcd(Object.fromEntries(Object.entries(all).filter(([key]) => wanted(key))) as Cmcd);
  const groups = {
    "CMCD-Object": pick((key) => OBJECT_KEYS.has(key)),
    "CMCD-Request": pick((key) => REQUEST_KEYS.has(key)),
    "CMCD-Session": pick((key) => !OBJECT_KEYS.has(key) && !REQUEST_KEYS.has(key)),
  };
  return Object.fromEntries(Object.entries(groups).filter(([, text]) => text !== ""));
}

export type NextObject = { url: string; prefixBytes: number };

/** `nor` and `nrr`: the next object this viewer will want, as a path relative to the one requested now. */
export function nextObject(fromUrl: string, next: NextObject | null): Pick<Cmcd, "nor" | "nrr"> {
  if (!next) return {};
  const nor = encodeURIComponent(relativePath(pathOf(fromUrl), pathOf(next.url)));
  return next.prefixBytes > 0 ? { nor, nrr: `0-${next.prefixBytes - 1}` } : { nor };
}

function pathOf(url: string): string {
  return new URL(url, location.origin).pathname;
}

function relativePath(from: string, to: string): string {
  const base = from.split("/").slice(0, -1);
  const target = to.split("/");
  let shared = 0;
  while (shared < base.length && shared < target.length - 1 && base[shared] === target[shared]) shared += 1;
  return "../".repeat(base.length - shared) + target.slice(shared).join("/");
}
