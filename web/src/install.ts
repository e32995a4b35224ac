/** Installing the app: the service worker keeps the shell, the browser's own prompt is held until asked for. */
import { signal } from "@preact/signals";

type InstallPrompt = Event & { prompt: () => Promise<void> };

export const installPrompt = signal<InstallPrompt | null>(null);

export function startServiceWorker(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    installPrompt.value = event as InstallPrompt;
  });
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return;
  // After load: the first picture must not share the line with the worker's own downloads.
  addEventListener("load", () => void navigator.serviceWorker.register("/sw.js").catch(() => undefined), { once: true });
}
