/* Gives the visit form where there is no signal. Kept are the form, with doors and addresses of the own grid and
   no names, and what it loads; signing out drops both (visits.js). */
"use strict";

const CACHE = "visits";
const SHELL = new URL("new", self.registration.scope).href;

async function keep() {
  const answer = await fetch(SHELL);
  if (!answer.ok || answer.redirected) return;
  const page = await answer.clone().text();
  const parts = [...page.matchAll(/<(?:link|script)[^>]* (?:href|src)="([^"]+)"/g)]
    .map(function (found) { return new URL(found[1].replaceAll("&amp;", "&"), SHELL).href; });
  const cache = await caches.open(CACHE);
  for (const part of parts) if (!(await cache.match(part))) await cache.add(part);
  await cache.put(SHELL, answer);
  for (const old of await cache.keys()) if (old.url !== SHELL && !parts.includes(old.url)) await cache.delete(old);
}

async function form(event) {
  try {
    const answer = await fetch(event.request);
    // Anew each time, without what this one was opened for, and for whoever is signed in now.
    if (answer.ok && !answer.redirected) event.waitUntil(keep().catch(function () {}));
    return answer;
  } catch (noSignal) {
    const kept = await caches.match(SHELL);
    if (kept) return kept;
    throw noSignal;
  }
}

self.addEventListener("install", function (event) {
  self.skipWaiting();
  event.waitUntil(keep().catch(function () {}));
});
self.addEventListener("activate", function (event) { event.waitUntil(self.clients.claim()); });
self.addEventListener("fetch", function (event) {
  const url = new URL(event.request.url);
  if (event.request.mode === "navigate") {
    if (url.origin + url.pathname === SHELL) event.respondWith(form(event));
  } else if (url.searchParams.has("v")) {
    event.respondWith(caches.match(event.request).then(function (kept) { return kept || fetch(event.request); }));
  }
});
