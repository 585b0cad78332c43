/* Matters per 旬 under the map, which is also how a part of the period is looked at: drag over it, or play. */
(function () {
  "use strict";

  var root = document.getElementById("times");
  if (!root || !window.gridmgmt) return;

  var parts = gridmgmtParts, element = parts.element, number = parts.number, SPACE = "http://www.w3.org/2000/svg";
  var HEIGHT = 56, AXIS = 16, MONTH = 3, PACES = { slow: 1400, middle: 800, fast: 400 };
  var data = null, url = "", part = null, limits = {}, timer = null, drag = null, measure = "";
  var ui = build();

  /* --- the 旬: `data.from` lies in the first */

  function partsOf(day) { return day.split("-").map(Number); }
  function count() { return data.total.length; }

  function step(k) {
    var from = partsOf(data.from), first = (from[1] - 1) * 3 + Math.min(2, Math.floor((from[2] - 1) / 10)) + k;
    return { year: from[0] + Math.floor(first / 36), month: Math.floor(first % 36 / 3) + 1, third: first % 3 };
  }

  function pad(value) { return (value < 10 ? "0" : "") + value; }

  function dayOf(k, last) {
    var at = step(k), day = last ? [10, 20, new Date(at.year, at.month, 0).getDate()][at.third] : [1, 11, 21][at.third];
    var found = at.year + "-" + pad(at.month) + "-" + pad(day);
    return found < data.from ? data.from : found > data.to ? data.to : found;
  }

  function nameOf(k, without) {
    var at = step(k);
    return (without === at.year ? "" : at.year + "年") + at.month + "月" + ["上旬", "中旬", "下旬"][at.third];
  }

  function nameOfPart(found) { return nameOf(found[0]) + (found[1] > found[0] ? "—" + nameOf(found[1], step(found[0]).year) : ""); }

  function keyOf(found) { return (dayOf(found[0]) + "-" + dayOf(found[1], true)).replace(/-/g, "").replace(/^(\d{8})/, "$1-"); }

  /* Back from an address: the 旬 that hold its two days; null when they are not in this period. */
  function partOf(key) {
    var found = /^(\d{8})-(\d{8})$/.exec(key || ""), first = -1, last = -1;
    if (!found || !data) return null;
    for (var k = 0; k < count(); k++) {
      if (first < 0 && dayOf(k, true).replace(/-/g, "") >= found[1]) first = k;
      if (dayOf(k).replace(/-/g, "") <= found[2]) last = k;
    }
    return first >= 0 && last >= first && dayOf(first).replace(/-/g, "") <= found[2] ? [first, last] : null;
  }

  function sum(row, found) { for (var total = 0, k = found[0]; k <= found[1]; k++) total += row[k]; return total; }

  /* --- what stands there */

  function button(text, label, act) {
    var made = element("button", "quiet", text);
    made.type = "button";
    made.setAttribute("aria-label", label);
    made.title = label;
    made.addEventListener("click", act);
    return made;
  }

  function build() {
    var made = { head: element("div", "times-head"), plot: element("div", "times-plot"), said: element("output", "times-said"), at: element("span", "times-at") };
    made.play = button("▶", "按旬播放", toggle);
    made.pace = element("select");
    made.pace.setAttribute("aria-label", "播放快慢");
    [["slow", "慢"], ["middle", "中"], ["fast", "快"]].forEach(function (each) { made.pace.append(new Option(each[1], each[0], false, each[0] === "middle")); });
    made.pace.addEventListener("change", function () { if (timer) { stop(); play(); } });
    made.back = button("‹", "往前一旬", function () { shift(-1); });
    made.on = button("›", "往后一旬", function () { shift(1); });
    made.clear = button("看整期", "看整期，不再只看一段", function () { choose(null); });
    made.clear.classList.add("times-clear");
    made.head.append(made.play, made.pace, made.back, made.on, made.said, made.clear, made.at);
    made.window = element("div", "times-window");
    made.handles = [0, 1].map(function (end) {
      var handle = element("div", "times-handle");
      handle.tabIndex = 0;
      handle.hidden = true; // until there is something to slide along
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", end ? "时段的终点" : "时段的起点");
      handle.addEventListener("keydown", function (event) { nudge(end, event); });
      return handle;
    });
    made.plot.append(made.window, made.handles[0], made.handles[1]);
    root.replaceChildren(made.head, made.plot);
    made.plot.addEventListener("pointerdown", press);
    made.plot.addEventListener("pointermove", move);
    made.plot.addEventListener("pointerup", release);
    made.plot.addEventListener("pointercancel", release);
    made.plot.addEventListener("pointerleave", function () { made.at.textContent = ""; });
    return made;
  }

  function shape(name, given, className) {
    var made = document.createElementNS(SPACE, name);
    Object.keys(given).forEach(function (key) { made.setAttribute(key, given[key]); });
    if (className) made.setAttribute("class", className);
    return made;
  }

  function draw() {
    var width = ui.plot.clientWidth, n = count(), bar = width / n, most = Math.max.apply(null, data.total.concat(1));
    var drawing = shape("svg", { width: width, height: HEIGHT + AXIS, role: "img", "aria-label": "每旬诉求数，共 " + n + " 旬" });
    var gap = bar > 8 ? 2 : bar > 3 ? 1 : 0.25, mean = sum(data.total, [0, n - 1]) / n;
    data.total.forEach(function (value, k) {
      var height = value / most * (HEIGHT - 4);
      drawing.append(shape("rect", { x: k * bar + gap / 2, y: HEIGHT - height, width: Math.max(bar - gap, 0.5), height: height }, "times-bar"));
    });
    var level = HEIGHT - mean / most * (HEIGHT - 4);
    drawing.append(shape("line", { x1: 0, x2: width, y1: level, y2: level }, "times-mean"));
    ticks(drawing, bar);
    var old = ui.plot.querySelector("svg");
    if (old) old.remove();
    ui.plot.prepend(drawing);
    lay();
  }

  /* Years where there are many, months where they have room. */
  function ticks(drawing, bar) {
    var every = bar * 3 > 30 ? 1 : bar * 9 > 30 ? 3 : 12;
    for (var k = 0; k < count(); k++) {
      var at = step(k), year = at.month === 1 && at.third === 0;
      if (at.third !== 0 || (at.month - 1) % every) continue;
      drawing.append(shape("line", { x1: k * bar, x2: k * bar, y1: year ? 0 : HEIGHT, y2: HEIGHT + 5 }, year ? "times-year" : "times-tick"));
      var text = shape("text", { x: k * bar + 3, y: HEIGHT + 13 });
      text.textContent = year ? at.year + "年" : at.month + "月";
      drawing.append(text);
    }
  }

  function lay() {
    var n = count(), found = part || [0, n - 1], ends = [found[0], found[1] + 1];
    ui.plot.classList.toggle("whole", !part);
    ui.window.style.left = ends[0] / n * 100 + "%";
    ui.window.style.width = (ends[1] - ends[0]) / n * 100 + "%";
    ui.handles.forEach(function (handle, end) {
      handle.hidden = false;
      handle.style.left = ends[end] / n * 100 + "%";
      handle.setAttribute("aria-valuemin", 0);
      handle.setAttribute("aria-valuemax", n - 1);
      handle.setAttribute("aria-valuenow", found[end]);
      handle.setAttribute("aria-valuetext", nameOf(found[end]));
    });
    ui.plot.querySelectorAll(".times-bar").forEach(function (bar, k) { bar.classList.toggle("out", Boolean(part) && (k < part[0] || k > part[1])); });
    ui.clear.hidden = !part;
    ui.back.disabled = !part || part[0] === 0;
    ui.on.disabled = !part || part[1] === n - 1;
    ui.said.setAttribute("aria-live", timer ? "off" : "polite");
    var total = sum(data.total, found);
    ui.said.replaceChildren();
    if (part) ui.said.append(element("b", "", nameOfPart(part)), " " + number(total, 0) + " 件");
    else ui.said.append("每旬诉求数，平均 " + number(total / n, 0) + " 件。", element("span", "times-how", "在图上拖出一段，或按播放，地图就只看那一段"));
  }

  /* --- choosing a part */

  function choose(found, quiet) {
    if (!data || !count()) return;
    if (found) {
      var length = Math.min(found[1] - found[0], count() - 1), first = Math.max(0, Math.min(found[0], count() - 1 - length));
      found = [first, first + length];
    } else stop();
    part = found;
    lay();
    gridmgmt.during(part && seen());
    var title = document.getElementById("window");
    if (title) { title.hidden = !part; title.textContent = part ? "地图只看 " + nameOfPart(part) : ""; }
    if (!quiet) tell();
  }

  /* What the map shows of a part. Class limits hold for every part of this length, so that playing compares. */
  function seen() {
    var counts = {}, length = part[1] - part[0] + 1, areas = data.areas;
    Object.keys(areas).forEach(function (code) { counts[code] = sum(areas[code], part); });
    if (!limits[length]) {
      var pooled = [], by = Math.max(1, Math.floor((count() - length) / 11));
      for (var first = 0; first + length <= count(); first += by) {
        Object.keys(areas).forEach(function (code) { pooled.push(sum(areas[code], [first, first + length - 1])); });
      }
      limits[length] = parts.wholeLimits(pooled);
    }
    return { name: nameOfPart(part), counts: counts, limits: limits[length] };
  }

  /* Address, and the layers that draw matters of a part. */
  function tell() {
    var address = new URL(location.href), key = part ? keyOf(part) : "";
    if (key) address.searchParams.set("window", key);
    else address.searchParams.delete("window");
    root.dataset.window = key;
    files();
    if (address.href !== location.href) history.replaceState(history.state, "", address);
    var days = part ? { from: dayOf(part[0]), to: dayOf(part[1], true) } : null;
    document.dispatchEvent(new CustomEvent("gridmgmt:period", { detail: days }));
  }

  /* Files hand out what is looked at. */
  function files() {
    document.querySelectorAll(".drop a").forEach(function (link) {
      var found = new URL(link.href);
      if (root.dataset.window) found.searchParams.set("window", root.dataset.window);
      else found.searchParams.delete("window");
      link.href = found.pathname + found.search;
    });
  }

  function shift(by, quiet) {
    if (!part) return;
    choose([part[0] + by, part[1] + by], quiet);
  }

  function nudge(end, event) {
    var n = count(), by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -MONTH, PageUp: MONTH, Home: -n, End: n }[event.key];
    if (event.key === "Escape" && part) { event.stopPropagation(); choose(null); return; }
    if (by === undefined || !data) return;
    event.preventDefault();
    stop();
    var found = (part || [0, n - 1]).slice();
    found[end] = Math.max(0, Math.min(n - 1, found[end] + by));
    if (found[0] > found[1]) found[1 - end] = found[end];
    choose(found[0] === 0 && found[1] === n - 1 ? null : found);
  }

  function binAt(event) {
    var box = ui.plot.getBoundingClientRect();
    return Math.max(0, Math.min(count() - 1, Math.floor((event.clientX - box.left) / box.width * count())));
  }

  function press(event) {
    if (!data || !count() || event.button) return;
    stop();
    var k = binAt(event), end = ui.handles.indexOf(event.target);
    if (end >= 0) { part = part || [0, count() - 1]; drag = { end: end }; }
    else if (part && k >= part[0] && k <= part[1]) drag = { from: k, part: part };
    else { drag = { anchor: k }; choose([k, k], true); }
    ui.plot.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (end >= 0) ui.handles[end].focus();
  }

  function move(event) {
    if (!data || !count()) return;
    var k = binAt(event), terms = data.terms && data.terms[k];
    ui.at.textContent = nameOf(k) + (terms ? "（" + terms + "）" : "") + " " + number(data.total[k], 0) + " 件";
    if (!drag) return;
    if (drag.part) choose([drag.part[0] + k - drag.from, drag.part[1] + k - drag.from], true);
    else if (drag.end === undefined) choose([Math.min(drag.anchor, k), Math.max(drag.anchor, k)], true);
    else {
      var found = part.slice();
      found[drag.end] = k;
      choose([Math.min(found[0], found[1]), Math.max(found[0], found[1])], true);
      if (found[0] > found[1]) drag.end = 1 - drag.end;
    }
  }

  function release() {
    if (!drag) return;
    drag = null;
    tell();
  }

  /* --- playing */

  function toggle() { if (timer) stop(); else play(); }

  function play() {
    if (!data || !count()) return;
    if (!part || part[1] === count() - 1) choose([0, part ? part[1] - part[0] : Math.min(MONTH, count()) - 1], true);
    ui.play.textContent = "❚❚";
    ui.play.setAttribute("aria-label", "停下");
    timer = setInterval(function () {
      if (part[1] >= count() - 1) stop();
      else shift(1, true);
    }, PACES[ui.pace.value]);
    lay();
  }

  function stop() {
    if (!timer) return;
    clearInterval(timer);
    timer = null;
    ui.play.textContent = "▶";
    ui.play.setAttribute("aria-label", "按旬播放");
    tell();
    lay();
  }

  /* --- when the map stands, and whenever the choice above it changes */

  function read() {
    var column = document.getElementById("column");
    if (!column) return;
    var now = column.dataset;
    if (part && measure && now.measure !== measure) choose(null); /* who asks for another measure wants to see it */
    measure = now.measure;
    files();
    if (!now.times) { root.hidden = true; return; }
    root.hidden = false;
    if (now.times === url) { if (part) gridmgmt.during(seen()); return; }
    load(now.times);
  }

  function load(wanted) {
    url = wanted;
    fetch(wanted, { credentials: "same-origin" }).then(function (answer) {
      if (answer.status === 401) location.reload();
      if (!answer.ok) throw new Error(wanted + ": " + answer.status);
      return answer.json();
    }).then(function (found) {
      if (wanted !== url) return;
      stop();
      data = found;
      limits = {};
      part = null;
      root.dataset.ready = "yes";
      ui.head.hidden = ui.plot.hidden = false;
      if (!count()) { empty("这一期没有诉求，请换一个类别或期间。"); return; }
      var note = root.querySelector(".times-empty");
      if (note) note.remove();
      draw();
      var kept = partOf(root.dataset.window);
      choose(kept, !root.dataset.window);
    }).catch(function (error) {
      if (wanted !== url) return;
      url = "";
      empty("各旬的件数没有取到。", function () { load(wanted); });
      throw error;
    });
  }

  function empty(text, again) {
    var note = element("p", "times-empty", text);
    ui.head.hidden = ui.plot.hidden = true;
    if (again) note.append(button("再取一次", "再取一次", again));
    var old = root.querySelector(".times-empty");
    if (old) old.remove();
    root.append(note);
  }

  /* What is fetched for the column must lead back to this view too. */
  document.addEventListener("htmx:configRequest", function (event) {
    if (!event.detail.target || event.detail.target.id !== "column") return;
    if (root.dataset.window) event.detail.parameters.window = root.dataset.window;
    else delete event.detail.parameters.window;
  });
  document.addEventListener("gridmgmt:drawn", read);
  document.addEventListener("htmx:afterSettle", function (event) { if (event.target.id === "column") read(); });
  new ResizeObserver(function () { if (data && count() && ui.plot.clientWidth) draw(); }).observe(ui.plot);
  var holder = document.querySelector(".folium-map");
  if (holder && holder.dataset.ready === "yes") read();
})();
