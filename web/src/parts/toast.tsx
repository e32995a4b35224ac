/** Short messages that go away by themselves, announced to screen readers. */
import { signal } from "@preact/signals";

type Toast = { id: number; text: string; tone: "plain" | "bad" };
const SHOWN_MS = 3200;
const MOST = 3;

const toasts = signal<Toast[]>([]);
let nextId = 1;

export function toast(text: string, tone: Toast["tone"] = "plain"): void {
  const id = nextId++;
  toasts.value = [...toasts.value, { id, text, tone }].slice(-MOST);
  setTimeout(() => {
    toasts.value = toasts.value.filter((entry) => entry.id !== id);
  }, SHOWN_MS);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, tone }) => (
        <div key={id} class={`toast toast-${tone}`}>
          {text}
        </div>
      ))}
    </div>
  );
}
