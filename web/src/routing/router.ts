/** Client-side routes: a pattern table, the current match as a signal, and history navigation. */
import { computed, signal } from "@preact/signals";

const PATTERNS = {
  feed: "/",
  following: "/following",
  video: "/v/:id",
  profile: "/@:name",
  hashtag: "/tag/:tag",
  sound: "/sound/:id",
  search: "/search",
  discover: "/discover",
  upload: "/upload",
  inbox: "/inbox",
  studio: "/studio",
  settings: "/settings",
  login: "/login",
  signup: "/signup",
  interests: "/interests",
} as const;

export type RouteName = keyof typeof PATTERNS | "missing";
export type Match = { name: RouteName; params: Readonly<Record<string, string>>; query: URLSearchParams; path: string };

const compiled = Object.entries(PATTERNS).map(([name, pattern]) => ({
  name: name as RouteName,
  regex: new RegExp(`^${pattern.replace(/:(\w+)/g, "(?<$1>[^/]+)")}/?$`),
}));

/** Pure: which screen a path names. Unknown paths are "missing", never an error. */
function matchPath(path: string, search = ""): Match {
  const query = new URLSearchParams(search);
  for (const { name, regex } of compiled) {
    const found = regex.exec(path);
    if (!found) continue;
    const params = Object.fromEntries(Object.entries(found.groups ?? {}).map(([key, value]) => [key, decode(value)]));
    return { name, params, query, path };
  }
  return { name: "missing", params: {}, query, path };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % in a hand-typed address
  }
}

const place = signal({ path: location.pathname, search: location.search });
export const route = computed(() => matchPath(place.value.path, place.value.search));

/** How many of our own entries lie behind the current one, so that "back" never leaves the app. */
let depth = 0;

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(history.state, "", to);
  else {
    depth += 1;
    history.pushState({ depth }, "", to);
  }
  settle();
}

export function goBack(fallback = "/"): void {
  if (depth > 0) history.back();
  else navigate(fallback, { replace: true });
}

function settle(): void {
  place.value = { path: location.pathname, search: location.search };
}

export function startRouting(): void {
  addEventListener("popstate", (event) => {
    depth = (event.state as { depth?: number } | null)?.depth ?? 0;
    settle();
  });
  document.addEventListener("click", followLink);
}

/** Plain left clicks on same-origin links become navigations; everything else stays the browser's. */
function followLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const anchor = (event.target as Element | null)?.closest?.("a");
  if (!anchor || anchor.target || anchor.hasAttribute("download") || anchor.origin !== location.origin) return;
  if (anchor.pathname.startsWith("/api/") || anchor.pathname.startsWith("/videos/")) return;
  event.preventDefault();
  const to = anchor.pathname + anchor.search;
  navigate(to, { replace: to === location.pathname + location.search });
}

export const links = {
  video: (id: string) => `/v/${encodeURIComponent(id)}`,
  profile: (username: string) => `/@${encodeURIComponent(username)}`,
  hashtag: (tag: string) => `/tag/${encodeURIComponent(tag)}`,
  sound: (id: string) => `/sound/${encodeURIComponent(id)}`,
  uploadWith: (soundId: string) => `/upload?sound=${encodeURIComponent(soundId)}`,
  remix: (videoId: string, layout: "duet" | "stitch") => `/upload?${layout}=${encodeURIComponent(videoId)}`,
  search: (q: string) => `/search?q=${encodeURIComponent(q)}`,
};
