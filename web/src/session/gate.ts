/** "This needs an account": opens the sign-in panel, and goes on with what was asked for afterwards. */
import { signal } from "@preact/signals";
import { me } from "./session";

export const gate = signal<{ then: () => void } | null>(null);

/** Run `act` now if somebody is signed in, else after they have signed in. */
export function withAccount(act: () => void): void {
  if (me.value) act();
  else gate.value = { then: act };
}

export function passGate(): void {
  const waiting = gate.value;
  gate.value = null;
  waiting?.then();
}
