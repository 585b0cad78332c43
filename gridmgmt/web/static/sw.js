/* Opens the telephone's pages where there is no signal. Kept are the frame, the two forms with doors and addresses
   of the own grid and no resident's name, and what they load; whoever signs in or out empties it (visits.js too). */
"use strict";

const CACHE = "gridmgmt-phone", AGAIN = 3600e3, PATIENCE = 5e3;
const at = function (path) { return new URL(path, self.location.origin).href; };
// What is kept, and which addresses it answers for; the frame stands in for every other page.
const FRAME = at("/grid/offline"), FORMS = [at("/visits/new"), at("/grid/report")], DOORS = ["/login", "/logout"];
let turn = 0, last = Promise.resolve();

// --- keeping

async function keep(user) {
  const mine = turn, made = [];
  for (const address of [FRAME].concat(FORMS)) {
    const answer = await fetch(address, { cache: "no-store", credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return;
    const page = await answer.clone().text();
    if (user && !page.includes('data-user="' + user + '"')) return;  // somebody else signed in meanwhile
    made.push({ address: address, answer: answer, parts: parts(page) });
  }
  if (mine !== turn) return;
  const cache = await caches.open(CACHE), wanted = new Set();
  for (const each of made) each.parts.forEach(function (part) { wanted.add(part); });
  for (const part of wanted) if (!(await cache.match(part))) await cache.add(part);
  for (const each of made) { wanted.add(each.address); await cache.put(each.address, each.answer); }
  for (const old of await cache.keys()) if (!wanted.has(old.url)) await cache.delete(old);
  if (mine !== turn) await caches.delete(CACHE);
}

function parts(page) {
  return [...page.matchAll(/<(?:link|script)[^>]* (?:href|src)="([^"]+)"/g)]
    .map(function (found) { return at(found[1].replaceAll("&amp;", "&")); });
}

/* One after the other, and not at every page: a grid of a thousand doors is no small form. */
function keepFor(user) {
  last = last.then(function () { return keepOnce(user); }).catch(function () {});
  return last;
}

async function keepOnce(user) {
  const kept = await caches.match(FRAME);
  const own = kept && (await kept.clone().text()).includes('data-user="' + user + '"');
  if (own && Date.now() - Date.parse(kept.headers.get("Date")) < AGAIN) return;
  if (kept && !own) await drop();
  await keep(user);
}

function drop() {
  turn += 1;
  return caches.delete(CACHE);
}

// --- answering

/* Where the signal is too weak even to say no, a form opens as it was kept; any other page may be a file being made. */
async function page(request, plain) {
  const form = FORMS.includes(plain), asked = fetch(request);
  try {
    return await (form ? Promise.race([asked, late()]) : asked);
  } catch (noSignal) {
    return (await caches.match(form ? plain : FRAME)) || asked;
  }
}

function late() {
  return new Promise(function (ok, no) { setTimeout(no, PATIENCE); });
}

self.addEventListener("install", function () { self.skipWaiting(); });
self.addEventListener("activate", function (event) {
  event.waitUntil(self.clients.claim().then(function () { return caches.delete("visits"); }));
});
self.addEventListener("message", function (event) {
  if (event.data && event.data.keep) event.waitUntil(keepFor(event.data.keep));
});
self.addEventListener("fetch", function (event) {
  const url = new URL(event.request.url), request = event.request;
  if (url.origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (request.method === "POST" && DOORS.includes(url.pathname)) event.waitUntil(drop());
    else if (request.method === "GET") event.respondWith(page(request, url.origin + url.pathname));
  } else if (request.method === "GET" && url.searchParams.has("v")) {
    event.respondWith(caches.match(request).then(function (kept) { return kept || fetch(request); }));
  }
});
