/* The visit form, and what waits on this phone until the server says that it is kept. Every entry has a key made
   here, so it may be sent as often as need be; entries go in the order in which they were made. */
(function () {
  "use strict";
  if (window.gridmgmtVisits) return;

  var PREFIX = "gridmgmt.visit.", MATTERS = "gridmgmt-matters", WEEK = 7 * 86400e3, AGAIN = 30e3;
  var box = document.getElementById("queue"), user = box && box.dataset.user;
  var sending = false, sentHere = 0, trouble = "";

  // --- the store: one item an entry, so that two open pages do not overwrite each other

  function names() { return Object.keys(localStorage).filter(function (name) { return name.startsWith(PREFIX); }).sort(); }
  function read(name) { try { return JSON.parse(localStorage.getItem(name)); } catch (broken) { return null; } }
  function all() { return names().map(read).filter(Boolean); }
  function mine() { return all().filter(function (entry) { return entry.user === user; }); }
  function nameOf(entry) { return PREFIX + entry.at + "." + entry.key; }
  function put(entry) { localStorage.setItem(nameOf(entry), JSON.stringify(entry)); }
  function drop(entry) { localStorage.removeItem(nameOf(entry)); }

  // crypto.randomUUID is missing where a city has no certificate.
  function newKey() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = bytes[6] & 15 | 64;
    bytes[8] = bytes[8] & 63 | 128;
    return Array.from(bytes, function (byte) { return byte.toString(16).padStart(2, "0"); }).join("")
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  // --- sending

  async function flush() {
    if (sending || !navigator.onLine) { show(); return; }
    if (!mine().some(function (entry) { return !entry.refused; })) { show(); return; }
    sending = true;
    trouble = "";
    try { await sendAll(); } catch (noSignal) { trouble = ""; }
    sending = false;
    show();
  }

  async function sendAll() {
    var asked = await fetch(box.dataset.token, { redirect: "manual", cache: "no-store" });
    if (!asked.ok) { trouble = "sign-in"; return; }
    var who = await asked.json();
    if (who.user !== user) { trouble = "sign-in"; return; }
    for (var entry of mine()) {
      if (!entry.refused && !(await sendOne(entry, who.token))) return;
      show();
    }
  }

  async function sendOne(entry, token) {
    var answer = await fetch(box.dataset.send, {
      method: "POST", redirect: "manual", body: JSON.stringify(entry.fields),
      headers: { "Content-Type": "application/json", "X-CSRFToken": token }
    });
    var told = await answer.json().catch(function () { return {}; });
    if (answer.ok && told.kept === entry.key) {
      drop(entry);
      sentHere += 1;
    } else if ([400, 404, 409].includes(answer.status) && told.why) {
      entry.refused = told.why;
      put(entry);
    } else {
      if (answer.status < 500) trouble = "sign-in";
      return false;
    }
    mark(entry);
    return true;
  }

  // --- what is shown

  function element(kind, words, parent) {
    var made = document.createElement(kind);
    made.textContent = words;
    parent.append(made);
    return made;
  }

  function moment(at) {
    return new Date(at).toLocaleString("zh-CN", { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" });
  }

  function show() {
    document.dispatchEvent(new Event("unsent"));
    if (!box) return;
    var left = mine(), stuck = left.filter(function (entry) { return entry.refused; });
    box.replaceChildren();
    box.hidden = !left.length && !sentHere;
    box.className = "queue" + (stuck.length ? " stuck" : left.length ? " waiting" : "");
    if (sentHere) element("p", "已上报 " + sentHere + " 条。", box);
    if (!left.length) return;
    if (left.length > stuck.length) element("p", left.length - stuck.length + " 条已保存，联网后自动上报。", box);
    if (trouble) {
      var link = element("a", "登录已过期，请重新登录后上报。", element("p", "", box));
      link.href = box.dataset.signIn;
    }
    if (left.some(function (entry) { return Date.now() - Date.parse(entry.at) > WEEK; })) {
      element("p", "有走访存放超过 7 天，请尽快到有信号的地方上报；满 30 天就收不下了。", box);
    }
    var list = element("ul", "", box);
    left.forEach(function (entry) { line(entry, list); });
  }

  function line(entry, list) {
    var item = element("li", "", list);
    element("span", entry.about + "（" + moment(entry.at) + "）" + (entry.refused ? "没有收下：" + entry.refused : ""), item);
    if (!entry.refused) return;
    if (form) element("button", "改一改", item).addEventListener("click", function () { refill(entry); });
    element("button", "删除", item).addEventListener("click", function () {
      if (confirm("删除这条走访？删除后找不回来。")) { drop(entry); show(); }
    });
  }

  function mark(entry) {
    var stop = document.getElementById("stop-" + entry.fields.stop);
    if (!stop) return;
    var words = stop.querySelector(".sent-words");
    if (words) words.textContent = entry.refused ? "没有收下：" + entry.refused : "✓ 已上报";
  }

  // --- the form

  var form = document.getElementById("visit");
  var groups = [];

  function fieldsOf(source, pressed) {
    var fields = {};
    new FormData(source).forEach(function (value, name) { if (name !== "csrf_token" && typeof value === "string") fields[name] = value; });
    if (pressed && pressed.name) fields[pressed.name] = pressed.value;
    return fields;
  }

  function save(source, pressed) {
    var entry = { key: newKey(), user: user, at: new Date().toISOString(), about: aboutOf(source) };
    entry.fields = Object.assign(fieldsOf(source, pressed), { key: entry.key, visited_at: entry.at });
    put(entry);
    if (source === form) fresh(); else settle(source);
    show();
    if (source === form) box.scrollIntoView({ block: "nearest" });
    flush();
  }

  function sendPlainly(source, pressed) {
    if (pressed && pressed.name) {
      var field = element("input", "", source);
      field.type = "hidden";
      field.name = pressed.name;
      field.value = pressed.value;
    }
    source.submit();
  }

  function aboutOf(source) {
    if (source !== form) return source.dataset.about;
    var chosen = form.dwelling.selectedOptions[0];
    return (chosen.dataset.address || "") + " " + chosen.textContent.replace(" ✓", "");
  }

  function settle(source) {
    source.hidden = true;
    source.insertAdjacentHTML("afterend", '<p class="sent-words">已保存，联网后自动上报</p>');
  }

  function fresh() {
    var purpose = fieldsOf(form).purpose, building = document.getElementById("building").value;
    form.reset();
    ["household", "stop", "visited_at", "note", "matter_text"].forEach(function (name) { form[name].value = ""; });
    form.querySelectorAll("input[type=radio]").forEach(function (each) { each.checked = each.name === "purpose" && each.value === purpose; });
    form.category.value = "";
    form.querySelector(".matter").open = false;
    pick(building, "");
  }

  function refill(entry) {
    var fields = entry.fields;
    drop(entry);
    pick(buildingOf(fields.dwelling), fields.dwelling);
    Object.keys(fields).forEach(function (name) {
      var field = form.elements[name];
      if (!field || name === "key" || name === "dwelling" || name === "csrf_token") return;
      field.value = fields[name];
    });
    form.querySelector(".matter").open = Boolean(fields.category || fields.matter_text);
    show();
    form.scrollIntoView();
  }

  /* First the building, then one of its doors: a list of a thousand doors is no list for a thumb. */
  function steps() {
    var building = document.getElementById("building"), wanted = form.dwelling.value || new URLSearchParams(location.search).get("dwelling");
    form.dwelling.querySelectorAll("optgroup").forEach(function (group, n) {
      groups.push({ address: group.label, doors: Array.from(group.children) });
      groups[n].doors.forEach(function (door) { door.dataset.address = group.label; });
      building.append(new Option(group.label, n));
    });
    building.closest("label").hidden = false;
    form.querySelector(".where-to").classList.add("two-steps");
    building.addEventListener("change", function () { pick(building.value, ""); });
    pick(wanted ? buildingOf(wanted) : "0", wanted || "");
  }

  function buildingOf(dwelling) {
    var found = groups.findIndex(function (group) { return group.doors.some(function (door) { return door.value === dwelling; }); });
    return String(Math.max(found, 0));
  }

  function pick(building, dwelling) {
    var group = groups[building] || groups[0];
    document.getElementById("building").value = String(groups.indexOf(group));
    var doors = group.doors.slice();
    if (doors.length > 1) doors.unshift(new Option("请选门牌", ""));
    form.dwelling.replaceChildren.apply(form.dwelling, doors);
    form.dwelling.value = doors.length > 1 ? dwelling : doors[0].value;
  }

  function fromAddress() {
    var asked = new URLSearchParams(location.search);
    ["household", "stop"].forEach(function (name) { if (asked.get(name) && !form[name].value) form[name].value = asked.get(name); });
    if (asked.get("purpose")) form.purpose.value = asked.get("purpose");
    form.dwelling.addEventListener("change", function () { form.household.value = form.stop.value = ""; });
  }

  function holdsNumber(words) {
    var plain = words.normalize("NFKC").replace(/(\d)[\s.()-]{1,2}(?=[\dXx])/g, "$1");
    return /(^|\D)(\d{17}[\dXx]|\d{15})(?!\d)|1[3-9]\d{9}/.test(plain);
  }

  function checkMatter() {
    var words = form.matter_text.value.trim(), wrong = holdsNumber(words), told = Boolean(words || form.category.value);
    document.getElementById("numbers").hidden = !wrong;
    form.matter_text.setCustomValidity(wrong ? "请去掉证号和电话" : told && !words ? "请写清是什么事" : "");
    form.category.setCustomValidity(told && !form.category.value ? "请选类别" : "");
  }

  function matter() {
    var part = form.querySelector(".matter");
    part.addEventListener("change", function (event) {
      if (event.target.name === "tile") form.category.value = event.target.value;
      else if (event.target === form.category) form.querySelectorAll("[name=tile]").forEach(function (each) { each.checked = each.value === form.category.value; });
      checkMatter();
    });
    form.matter_text.addEventListener("input", checkMatter);
    part.querySelector(".drop").addEventListener("click", function () {
      form.category.value = form.matter_text.value = "";
      part.querySelectorAll("[name=tile]").forEach(function (each) { each.checked = false; });
      part.open = false;
      checkMatter();
    });
  }

  // --- beginning

  if (form && form.dwelling) { steps(); fromAddress(); matter(); }

  document.addEventListener("submit", function (event) {
    if (event.target.matches("form.who")) { leave(event); return; }
    if (event.target.matches("form.language")) { speakAnew(event); return; }
    if (!box || !event.target.matches("[data-queued]")) return;
    event.preventDefault();
    try {
      save(event.target, event.submitter);
    } catch (full) {  // no room on the phone, or none allowed: the page sends it as any form
      if (event.target === form) form.visited_at.value = new Date().toISOString();
      sendPlainly(event.target, event.submitter);
    }
  });

  /* What is kept to be opened without signal is in the language that is left. */
  function speakAnew(event) {
    var chosen = event.target, button = event.submitter;
    if (!window.caches || chosen.dataset.emptied) return;
    event.preventDefault();
    caches.keys().then(function (names) {
      return Promise.all(names.map(function (name) { return caches.delete(name); }));
    }).finally(function () { chosen.dataset.emptied = "yes"; chosen.requestSubmit(button); });
  }

  /* Nothing of this person's stays on the phone; what was not sent is asked about first. */
  async function leave(event) {
    event.preventDefault();
    var visits = all().length, matters = await mattersLeft(), words = [];
    if (visits) words.push(visits + " 条走访");
    if (matters) words.push(matters + " 件诉求");
    if (words.length && !confirm("这台手机上还有 " + words.join("、") + "没有上报，退出就会删除。要退出吗？")) return;
    document.dispatchEvent(new Event("leaving"));
    all().forEach(drop);
    sessionStorage.clear();
    await emptied();
    event.target.submit();
  }

  function done(asked) {
    return new Promise(function (ended) { asked.onsuccess = asked.onerror = asked.onblocked = function () { ended(asked.result); }; });
  }

  async function mattersLeft() {
    try {
      var known = await indexedDB.databases();
      if (!known.some(function (each) { return each.name === MATTERS; })) return 0;
      var base = await done(indexedDB.open(MATTERS)), count = 0;
      if (base.objectStoreNames.contains("matters")) count = await done(base.transaction("matters").objectStore("matters").count());
      base.close();
      return count;
    } catch (none) { return 0; }
  }

  async function emptied() {
    try {
      if (window.caches) for (var name of await caches.keys()) await caches.delete(name);
      await done(indexedDB.deleteDatabase(MATTERS));
    } catch (none) { /* a browser without either keeps nothing */ }
  }

  window.gridmgmtVisits = { count: function () { return mine().length; }, newKey: newKey, holdsNumber: holdsNumber, moment: moment, element: element };

  if (box) {
    window.addEventListener("online", flush);
    setInterval(flush, AGAIN);
    flush();
  }
})();
