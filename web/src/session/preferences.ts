/** What a viewer chose about playing and looking, kept on this device. */
import { effect, signal } from "@preact/signals";
import { readJson, writeJson } from "./storage";

export type Theme = "system" | "dark" | "light";
export type Saver = "auto" | "on" | "off";
export type Preferences = {
  muted: boolean;
  volume: number;
  speed: number;
  captions: boolean;
  /** Language tag last chosen; "" follows the app's. */
  captionLanguage: string;
  theme: Theme;
  dataSaver: Saver;
  batterySaver: Saver;
  language: string;
};

const KEY = "popreel.preferences";
const DEFAULTS: Preferences = {
  muted: true, // browsers refuse to start a first video with sound
  volume: 1,
  speed: 1,
  captions: true,
  captionLanguage: "",
  theme: "system",
  dataSaver: "auto",
  batterySaver: "auto",
  language: "",
};

const isPartial = (value: unknown): value is Partial<Preferences> => typeof value === "object" && value !== null;

export const preferences = signal<Preferences>({ ...DEFAULTS, ...readJson(KEY, isPartial, {}) });

export function prefer(change: Partial<Preferences>): void {
  preferences.value = { ...preferences.value, ...change };
}

export function startPreferences(): void {
  void watchBattery();
  effect(() => {
    document.documentElement.classList.toggle("is-calm", savingPower());
  });
  effect(() => {
    writeJson(KEY, preferences.value);
    const { theme } = preferences.value;
    if (theme === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = theme;
  });
}

type NetworkInformation = { saveData?: boolean; effectiveType?: string };

/** Data saver: the viewer's word first, then the browser's own hint or a 2g/3g-class link. */
export function savingData(): boolean {
  const { dataSaver } = preferences.value;
  if (dataSaver !== "auto") return dataSaver === "on";
  const connection = (navigator as Navigator & { connection?: NetworkInformation }).connection;
  return connection?.saveData === true || connection?.effectiveType === "2g" || connection?.effectiveType === "slow-2g";
}

type Battery = EventTarget & { charging: boolean; level: number };

/** Below this share, and not charging, "auto" means on. */
const LOW_BATTERY = 0.2;
const batteryLow = signal(false);

/** Where browsers tell (Chromium); elsewhere "auto" stays off. */
async function watchBattery(): Promise<void> {
  const ask = (navigator as Navigator & { getBattery?: () => Promise<Battery> }).getBattery;
  const battery = await ask?.call(navigator).catch(() => null);
  if (!battery) return;
  const look = (): void => {
    batteryLow.value = !battery.charging && battery.level <= LOW_BATTERY;
  };
  battery.addEventListener("levelchange", look);
  battery.addEventListener("chargingchange", look);
  look();
}

/** Battery saver: lowest rung, one neighbour prepared, no blur and no motion. */
export function savingPower(): boolean {
  const { batterySaver } = preferences.value;
  return batterySaver === "auto" ? batteryLow.value : batterySaver === "on";
}
