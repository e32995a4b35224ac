/** The signed-in account: tokens, the refresh that happens once however many calls ask, and sign-out. */
import { computed, signal } from "@preact/signals";
import type { TokenReply, User } from "../api/types";
import { deviceId } from "./device";
import { readJson, writeJson } from "./storage";

type Stored = { accessToken: string; refreshToken: string; expiresAtMs: number; user: User };

const KEY = "popreel.session";
/** Renew this long before expiry, so that a slow request does not meet a token that has just run out. */
const RENEW_AHEAD_MS = 30_000;

const isStored = (value: unknown): value is Stored | null =>
  value === null || (typeof value === "object" && "refreshToken" in value && "user" in value);

const stored = signal<Stored | null>(readJson<Stored | null>(KEY, isStored, null));

export const me = computed<User | null>(() => stored.value?.user ?? null);

export function signIn(reply: TokenReply): void {
  const expiresAtMs = Date.now() + reply.expiresIn * 1000;
  keep({ accessToken: reply.accessToken, refreshToken: reply.refreshToken, expiresAtMs, user: reply.user });
}

export function updateMe(change: Partial<User>): void {
  if (stored.value) keep({ ...stored.value, user: { ...stored.value.user, ...change } });
}

export function forgetSession(): void {
  keep(null);
}

export function refreshToken(): string | null {
  return stored.value?.refreshToken ?? null;
}

function keep(value: Stored | null): void {
  stored.value = value;
  writeJson(KEY, value);
}

/** A valid access token, renewed if need be; null when nobody is signed in. */
export async function accessToken(): Promise<string | null> {
  const current = stored.value;
  if (!current) return null;
  if (Date.now() < current.expiresAtMs - RENEW_AHEAD_MS) return current.accessToken;
  return renew(current.accessToken);
}

/** The token at hand without waiting, for requests sent while the page goes away. */
export function tokenNow(): string | null {
  return stored.value?.accessToken ?? null;
}

let renewal: Promise<string | null> | null = null;

/** Swap `spent` for a new token. Callers at the same time share one exchange; other tabs wait for the same lock. */
export function renew(spent: string): Promise<string | null> {
  renewal ??= withLock(() => exchange(spent)).finally(() => {
    renewal = null;
  });
  return renewal;
}

function withLock<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks ? (navigator.locks.request("popreel-session", work) as Promise<T>) : work();
}

async function exchange(spent: string): Promise<string | null> {
  const shared = readJson<Stored | null>(KEY, isStored, null);
  if (shared && shared.accessToken !== spent && Date.now() < shared.expiresAtMs - RENEW_AHEAD_MS) {
    stored.value = shared; // another tab has done it; a refresh token works only once
    return shared.accessToken;
  }
  const token = (shared ?? stored.value)?.refreshToken;
  if (!token) return null;
  const response = await fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Device-Id": deviceId() },
    body: JSON.stringify({ refreshToken: token }),
  });
  if (response.ok) {
    signIn((await response.json()) as TokenReply);
    return stored.value?.accessToken ?? null;
  }
  if (response.status === 400 || response.status === 401 || response.status === 403) forgetSession();
  return null;
}

addEventListener("storage", (event) => {
  if (event.key === KEY) stored.value = readJson<Stored | null>(KEY, isStored, null);
});
