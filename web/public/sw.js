/* Keeps the shell (index.html and hashed assets) so that the app opens without a network. Never touches the API or media:
   those have their own caches, and a stale answer there would be a wrong one. */
const SHELL = "popreel-shell-v1";
const MOST_ASSETS = 120;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(SHELL).then((cache) => cache.add(new Request("/", { cache: "reload" }))).then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const drop = (names) => Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(drop).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(freshShell(request));
  else if (url.pathname.startsWith("/assets/")) event.respondWith(keptAsset(request));
});

/** The network's page first, so that a release is seen at once; the kept one when there is no network. */
async function freshShell(request) {
  const cache = await caches.open(SHELL);
  try {
    const response = await fetch(request);
    const isShell = response.ok && response.headers.get("Content-Type")?.startsWith("text/html");
    if (isShell && new URL(request.url).pathname === "/") await cache.put("/", response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match("/");
    if (kept) return kept;
    throw error;
  }
}

/** Names carry a content hash: what is kept is right for ever. The oldest go when there are too many. */
async function keptAsset(request) {
  const cache = await caches.open(SHELL);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.status === 200) {
    await cache.put(request, response.clone());
    const keys = (await cache.keys()).filter((key) => new URL(key.url).pathname.startsWith("/assets/"));
    await Promise.all(keys.slice(0, Math.max(0, keys.length - MOST_ASSETS)).map((key) => cache.delete(key)));
  }
  return response;
}
