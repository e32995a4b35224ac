/** This browser's identity: a random device id (kept) and a session id (one per tab load). */
import { readText, writeText } from "./storage";

const DEVICE_KEY = "popreel.device";

export const sessionId: string = crypto.randomUUID();

export function deviceId(): string {
  const known = readText(DEVICE_KEY);
  if (known && /^[0-9a-f-]{36}$/.test(known)) return known;
  const fresh = crypto.randomUUID();
  writeText(DEVICE_KEY, fresh);
  return fresh;
}
