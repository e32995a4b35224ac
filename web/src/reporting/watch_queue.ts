/**
 * Watch events on their way to the PoP: batched, kept on this device until acknowledged, sent once more after a crash.
 * An `eventId` makes a resend harmless, so nothing here needs to be sure that a request arrived.
 */
import { tokenNow, accessToken } from "../session/session";
import { deviceId, sessionId } from "../session/device";
import { readJson, writeJson } from "../session/storage";

export type WatchSource = "fyp" | "following" | "search" | "hashtag" | "profile" | "sound" | "share";

export type WatchReport = {
  eventId: string;
  sessionId: string;
  videoId: string;
  watchDuration: number;
  totalDuration: number;
  liked: boolean;
  commented: boolean;
  shared: boolean;
  followedCreator: boolean;
  notInterested: boolean;
  source: WatchSource;
  deviceType: "web";
  impression?: string;
  startTimeMs?: number;
  rebuffers: number;
};

const KEY = "popreel.watch";
const LAST_WORDS_KEY = "popreel.lastWatch";
const CAPACITY = 200;
const BATCH = 50;
/** The next page is ranked by what was just watched, so a report leaves soon; a burst of skips still shares a request. */
const FLUSH_AFTER_MS = 400;
const RETRY_AFTER_MS = 15_000;
const PATH = "/api/v1/analytics/watch";

const isReports = (value: unknown): value is WatchReport[] => Array.isArray(value);

let waiting: WatchReport[] = readJson(KEY, isReports, []).slice(-CAPACITY);
let timer: number | null = null;
let sending = false;

export type Watched = Omit<WatchReport, "eventId" | "sessionId" | "deviceType">;

export function report(event: Watched): void {
  waiting.push(complete(event));
  if (waiting.length > CAPACITY) waiting = waiting.slice(-CAPACITY); // offline for long: the newest say most
  keep();
  schedule(FLUSH_AFTER_MS);
}

function complete(event: Watched): WatchReport {
  return { eventId: crypto.randomUUID(), sessionId, deviceType: "web", ...event };
}

/**
 * What to report if this page is never seen again: a phone ends hidden pages without a word. Sent on the next visit;
 * null takes it back when the viewer returns.
 */
export function keepLastWords(event: Watched | null): void {
  writeJson(LAST_WORDS_KEY, event && [complete(event)]);
}

export function startReporting(): void {
  waiting.push(...readJson(LAST_WORDS_KEY, isReports, []));
  keepLastWords(null);
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
  addEventListener("online", () => schedule(0));
  if (waiting.length > 0) schedule(2_000);
}

function schedule(delayMs: number): void {
  timer ??= window.setTimeout(() => {
    timer = null;
    void flush();
  }, delayMs);
}

async function flush(): Promise<void> {
  if (sending || waiting.length === 0) return;
  sending = true;
  const batch = waiting.slice(0, BATCH);
  const outcome = await post(batch, await accessToken());
  sending = false;
  if (outcome === "later") return schedule(RETRY_AFTER_MS);
  settle(batch);
  if (waiting.length > 0) schedule(0);
}

/** "done" also covers a refusal: the same bytes would be refused again. */
async function post(batch: WatchReport[], token: string | null, leaving = false): Promise<"done" | "later"> {
  try {
    const response = await fetch(PATH, { method: "POST", keepalive: leaving, headers: headers(token), body: bodyOf(batch) });
    await response.arrayBuffer(); // an answer left unread keeps its connection
    const transient = response.status >= 500 || response.status === 429 || response.status === 401;
    return transient ? "later" : "done";
  } catch {
    return "later";
  }
}

/**
 * The page is going away. `fetch` with keepalive outlives it and can say who watched; `sendBeacon` cannot carry headers, so
 * it is for browsers without keepalive only. Unacknowledged events stay stored and go again on the next visit.
 */
function leave(): void {
  if (waiting.length === 0) return;
  const batch = waiting.slice(-BATCH);
  if ("keepalive" in Request.prototype) void post(batch, tokenNow(), true).then((outcome) => outcome === "done" && settle(batch));
  else navigator.sendBeacon(PATH, new Blob([bodyOf(batch)], { type: "application/json" }));
}

function settle(batch: WatchReport[]): void {
  const sent = new Set(batch.map((event) => event.eventId));
  waiting = waiting.filter((event) => !sent.has(event.eventId));
  keep();
}

function keep(): void {
  writeJson(KEY, waiting.length > 0 ? waiting : null);
}

function headers(token: string | null): Record<string, string> {
  const common = { "Content-Type": "application/json", "X-Device-Id": deviceId() };
  return token ? { ...common, Authorization: `Bearer ${token}` } : common;
}

function bodyOf(batch: WatchReport[]): string {
  return JSON.stringify({ events: batch });
}
