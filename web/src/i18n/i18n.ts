/** Words in the viewer's language, plurals by Intl, direction on <html>. English is built in; others load on demand. */
import { computed, signal } from "@preact/signals";
import { en } from "./en";

export type Key = keyof typeof en;
export type Words = Record<Key, string>;
type Values = Record<string, string | number>;

export const LANGUAGES: { code: string; name: string; rtl: boolean; load: () => Promise<Words> }[] = [
  { code: "en", name: "English", rtl: false, load: async () => en },
  { code: "ar", name: "العربية", rtl: true, load: async () => (await import("./ar")).ar },
];

const words = signal<Words>(en);
export const language = signal("en");
const plurals = computed(() => new Intl.PluralRules(language.value));
const compact = computed(() => new Intl.NumberFormat(language.value, { notation: "compact", maximumFractionDigits: 1 }));

/** `wanted` is a language tag; "" follows the browser. */
export async function useLanguage(wanted: string): Promise<void> {
  const tags = wanted ? [wanted] : navigator.languages;
  const chosen = tags.map((tag) => LANGUAGES.find(({ code }) => tag.toLowerCase().startsWith(code))).find(Boolean) ?? LANGUAGES[0]!;
  try {
    words.value = await chosen.load();
  } catch {
    return; // offline and not cached: stay with the words at hand
  }
  language.value = chosen.code;
  document.documentElement.lang = chosen.code;
  document.documentElement.dir = chosen.rtl ? "rtl" : "ltr";
}

export function t(key: Key, values: Values = {}): string {
  return words.value[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A text with forms split by "|" in the order of `FORMS`, chosen by `n`. One form serves every number. */
const FORMS = ["one", "other", "zero", "two", "few", "many"] as const;

export function tn(key: Key, n: number): string {
  const forms = words.value[key].split("|");
  const index = FORMS.indexOf(plurals.value.select(n));
  const form = forms[index] || forms[1] || forms[0] || "";
  return form.replace("{n}", compact.value.format(n));
}

export function count(n: number): string {
  return compact.value.format(n);
}

export function ago(ms: number): string {
  const seconds = Math.round((ms - Date.now()) / 1000);
  const format = new Intl.RelativeTimeFormat(language.value, { style: "narrow" });
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
  for (const [unit, size] of steps) if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  return t("justNow");
}

export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A language's name in the viewer's own. */
export function languageName(tag: string): string {
  try {
    return new Intl.DisplayNames([language.value], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/** A number of bytes in the largest unit that leaves a whole part. */
export function size(bytes: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return new Intl.NumberFormat(language.value, { style: "unit", unit: units[step]!, maximumFractionDigits: 1 }).format(bytes / 1000 ** step);
}
