// The offline shell: the page and its hashed files, so that the app opens without a network. No answer of the API is ever kept.
const CACHE = "starpod-shell-1";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

async function kept(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request);
  if (known) return known;
  const answer = await fetch(request);
  if (answer.ok) cache.put(request, answer.clone());
  return answer;
}

async function page(request) {
  const shell = new Request(self.registration.scope);
  try {
    const answer = await fetch(request);
    return answer;
  } catch (error) {
    const cached = await (await caches.open(CACHE)).match(shell);
    if (cached) return cached;
    throw error;
  }
}

self.addEventListener("message", async (event) => {
  // The shell is kept without anybody's sessions in it: it is fetched without the sign-in cookie.
  if (event.data !== "keep-shell") return;
  const answer = await fetch(self.registration.scope, { credentials: "omit" }).catch(() => null);
  if (answer?.ok) await (await caches.open(CACHE)).put(new Request(self.registration.scope), answer);
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname.slice(new URL(self.registration.scope).pathname.length);
  if (request.method !== "GET") return;
  if (request.mode === "navigate" && !/^(api|i|docs|v1)\//.test(path)) event.respondWith(page(request));
  else if (path.startsWith("assets/")) event.respondWith(kept(request));
});
