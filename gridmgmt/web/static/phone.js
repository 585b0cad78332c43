/* What makes a telephone's pages one application: the worker that opens them without signal, and the matters that
   wait here until the server says that they are kept. Every one has a key of its own, so sending again is no harm. */
(function () {
  "use strict";
  if (window.gridmgmtTold) return;

  var BASE = "gridmgmt-matters", AGAIN = 30e3, PATIENCE = 60e3, MOST = 40, WEEK = 7 * 86400e3;
  var own = window.gridmgmtVisits, element = own.element;
  var box = document.getElementById("told"), user = box && box.dataset.user;
  var opened = null, waiting = [], sending = false, gone = false, turning = false, trouble = "", sent = [];

  // --- the store

  function asked(request) {
    return new Promise(function (ok, no) {
      request.onsuccess = function () { ok(request.result); };
      request.onerror = request.onblocked = function () { no(request.error); };
    });
  }

  function base() {
    if (gone) return Promise.reject(new Error("signed out"));
    if (opened) return opened;
    var request = indexedDB.open(BASE, 1);
    request.onupgradeneeded = function () { request.result.createObjectStore("matters", { keyPath: "key" }); };
    opened = asked(request).then(function (found) {
      found.onversionchange = close;
      return found;
    });
    opened.catch(function () { opened = null; });
    return opened;
  }

  function close() {
    if (opened) opened.then(function (found) { found.close(); }, function () {});
    opened = null;
  }

  async function within(mode, act) {
    var transaction = (await base()).transaction("matters", mode);
    var ended = new Promise(function (ok, no) {
      transaction.oncomplete = ok;
      transaction.onerror = transaction.onabort = function () { no(transaction.error); };
    });
    var found = asked(act(transaction.objectStore("matters")));
    await ended;
    return found;
  }

  async function read() {
    var every = await within("readonly", function (store) { return store.getAll(); });
    waiting = every.filter(function (entry) { return entry.user === user; })
      .sort(function (one, other) { return one.at < other.at ? -1 : 1; });
  }

  async function put(entry) {
    if (waiting.length >= MOST) throw new Error("full");
    entry.user = user;
    await within("readwrite", function (store) { return store.put(entry); });
    await read();
    show();
  }

  async function drop(entry) {
    await within("readwrite", function (store) { return store.delete(entry.key); });
    await read();
    show();
  }

  // --- sending

  async function flush() {
    if (sending || gone || !box) return;
    sending = true;
    try {
      await read();
      if (navigator.onLine && waiting.some(function (entry) { return !entry.refused; })) await sendAll();
    } catch (noSignal) { trouble = ""; }
    sending = false;
    if (!gone) show();
  }

  async function sendAll() {
    trouble = "";
    var token = await tokenOf();
    if (!token) return;
    for (var entry of waiting.slice()) {
      if (!entry.refused && !(await sendOne(entry, token))) return;
    }
  }

  /* A page may have been opened days ago: who is signed in now, and a token for sending. */
  async function tokenOf() {
    var answer = await fetch(box.dataset.token, { redirect: "manual", cache: "no-store" });
    var who = answer.ok ? await answer.json() : {};
    if (who.user === user) return who.token;
    trouble = "sign-in";
    return null;
  }

  function bodyOf(entry) {
    var body = new FormData();
    Object.keys(entry.fields).forEach(function (name) { body.append(name, entry.fields[name]); });
    entry.photos.forEach(function (photo, n) { body.append("photos", new Blob([photo], { type: "image/jpeg" }), "photo-" + (n + 1) + ".jpg"); });
    return body;
  }

  async function posted(entry, token) {
    var patience = new AbortController(), clock = setTimeout(function () { patience.abort(); }, PATIENCE);
    try {
      return await fetch(box.dataset.send, {
        method: "POST", redirect: "manual", body: bodyOf(entry), headers: { "X-CSRFToken": token }, signal: patience.signal
      });
    } finally { clearTimeout(clock); }
  }

  async function sendOne(entry, token) {
    var answer = await posted(entry, token), told = await answer.json().catch(function () { return {}; });
    if (answer.ok && told.kept === entry.key) {
      sent.push(told.number);
      await drop(entry);
    } else if ((told.why && [400, 404, 409].includes(answer.status)) || answer.status === 413) {
      entry.refused = told.why || "照片太大，请去掉几张。";
      await within("readwrite", function (store) { return store.put(entry); });
    } else {
      if (answer.status < 500) trouble = "sign-in";
      return false;
    }
    return true;
  }

  // --- what is shown

  function show() {
    if (!box) return;
    var stuck = waiting.filter(function (entry) { return entry.refused; }).length, left = waiting.length - stuck;
    box.replaceChildren();
    box.hidden = !waiting.length && !sent.length;
    box.className = "queue" + (stuck ? " stuck" : waiting.length ? " waiting" : "");
    if (sent.length) element("p", "已上报 " + sent.length + " 件，编号 " + sent.join("、") + "。", box);
    if (left) element("p", left + " 件已保存，联网后自动上报。", box);
    if (trouble) element("a", "登录已过期，请重新登录后上报。", element("p", "", box)).href = box.dataset.signIn;
    if (waiting.some(function (entry) { return Date.now() - Date.parse(entry.at) > WEEK; })) element("p", "有诉求存放超过 7 天，请尽快到有信号的地方上报。", box);
    var list = element("ul", "", box);
    waiting.forEach(function (entry) { line(entry, list); });
    if (left) button("现在上报", box, flush);
    count();
  }

  function line(entry, list) {
    var item = element("li", "", list), photos = entry.photos.length ? "，" + entry.photos.length + " 张照片" : "";
    element("span", entry.about + photos + "（" + own.moment(entry.at) + "）" + (entry.refused ? "没有收下：" + entry.refused : ""), item);
    if (entry.refused && window.gridmgmtTold.refill) {
      button("改一改", item, function () { drop(entry).then(function () { window.gridmgmtTold.refill(entry); }); });
    }
    button("删除", item, function () { if (confirm("删除这件诉求？删除后找不回来。")) drop(entry); });
  }

  function button(words, parent, act) {
    var made = element("button", words, parent);
    made.type = "button";
    made.addEventListener("click", act);
  }

  function count() {
    var badge = document.getElementById("unsent"), left = waiting.length + own.count();
    if (!badge) return;
    badge.hidden = !left;
    badge.textContent = left;
    badge.setAttribute("aria-label", left + " 条没有上报");
  }

  // --- beginning

  /* The frame that was kept opens in place of any page; with a signal the page itself is wanted again, or the one
     that was tapped meanwhile: loading this one again would undo the tap. */
  function online() {
    document.body.classList.remove("no-signal");
    if (document.getElementById("offline") && !turning) location.reload();
  }

  async function worker() {
    var workers = navigator.serviceWorker;
    if (!workers || !box.dataset.worker || !navigator.onLine) return;
    for (var old of await workers.getRegistrations()) if (new URL(old.scope).pathname !== "/") await old.unregister();
    await workers.register(box.dataset.worker, { scope: "/" });
    (await workers.ready).active.postMessage({ keep: user });
  }

  window.gridmgmtTold = { put: put, flush: flush, newKey: own.newKey, holdsNumber: own.holdsNumber, element: element, refill: null };
  document.body.classList.toggle("no-signal", !navigator.onLine);
  document.addEventListener("unsent", count);
  document.addEventListener("leaving", function () { gone = true; close(); });
  window.addEventListener("offline", function () { document.body.classList.add("no-signal"); });
  window.addEventListener("online", online);
  window.addEventListener("beforeunload", function () { turning = true; });
  if (box) {
    window.addEventListener("online", flush);
    setInterval(flush, AGAIN);
    flush();
    worker().catch(function () { /* without it the pages need a signal to open, and work */ });
  }
})();
