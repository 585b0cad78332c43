/* Around the map: an area's card over the column, the search for a place, the full screen, and paper. */
(function () {
  "use strict";

  var card = document.getElementById("card"), column = function () { return document.getElementById("column"); };
  if (!card || !window.gridmgmt) return;

  var parts = gridmgmtParts, element = parts.element, open = "", opener = null, wanted = 0;

  function address(change) {
    var found = new URL(location.href);
    change(found.searchParams);
    if (found.href !== location.href) history.replaceState(history.state, "", found);
  }

  /* --- the card */

  function show(code) {
    var mine = ++wanted;
    if (!open) opener = document.activeElement;
    open = code;
    gridmgmt.mark(code);
    card.classList.add("open");
    card.setAttribute("aria-busy", "true");
    address(function (asked) { asked.set("area", code); });
    fetch(column().dataset.card.replace("CODE", encodeURIComponent(code)), { credentials: "same-origin", headers: { "HX-Request": "true" } }).then(function (answer) {
      if (answer.status === 204 || answer.status === 401) { location.reload(); return ""; }
      if (!answer.ok) throw new Error(code + ": " + answer.status);
      return answer.text();
    }).then(function (text) {
      if (mine !== wanted || !text) return;
      card.replaceChildren(document.createRange().createContextualFragment(text));
      card.scrollTop = 0;
      ready();
    }).catch(function (error) {
      if (mine !== wanted) return;
      var box = element("div", "empty"), again = element("button", "", "再取一次"), shut = element("button", "quiet", "关闭");
      again.type = shut.type = "button";
      again.addEventListener("click", function () { show(code); });
      shut.dataset.close = "";
      box.append(element("h2", "", "没有取到"), element("p", "", "请检查网络后再试。"), again, shut);
      card.replaceChildren(box);
      ready();
      throw error;
    });
  }

  function ready() {
    card.setAttribute("aria-busy", "false");
    var inside = card.querySelector('[tabindex="-1"]');
    if (inside) inside.focus({ preventScroll: true });
    if (window.htmx) htmx.process(card);
  }

  function close() {
    if (!open) return;
    wanted++;
    open = "";
    gridmgmt.mark("");
    card.classList.remove("open");
    card.replaceChildren();
    address(function (asked) { asked.delete("area"); });
    if (opener && opener.isConnected && opener !== document.body) opener.focus({ preventScroll: true });
    else { var first = document.querySelector(".ranked .name"); if (first) first.focus({ preventScroll: true }); }
  }

  document.addEventListener("click", function (event) {
    if (event.target.closest("#card [data-close]")) { close(); return; }
    /* A category of the card, seen on the same card. */
    var inside = event.target.closest("#card a[href^='/areas/" + open + "?']");
    if (open && inside && inside.closest("li") && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); pick(new URL(inside.href).searchParams.get("category") || ""); }
  });

  function pick(category) {
    var select = document.querySelector('#choices select[name="category"]');
    if (!select || ![].some.call(select.options, function (each) { return each.value === category; })) return;
    select.value = category;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && open && !document.fullscreenElement && event.target !== search) close();
  });

  /* The choice changed under an open card: it says the new one. */
  var before = column() ? column().dataset.card : "";
  document.addEventListener("htmx:afterSettle", function (event) {
    if (event.target.id !== "column") return;
    var now = column().dataset.card;
    if (open && now !== before) show(open);
    before = now;
  });
  document.addEventListener("htmx:configRequest", function (event) {
    if (!event.detail.target || event.detail.target.id !== "column") return;
    if (open) event.detail.parameters.area = open;
    else delete event.detail.parameters.area;
  });

  /* --- the search */

  var search = document.getElementById("q"), list = document.getElementById("found"), at = -1, MOST = 8;

  function words(text) { return text.toLowerCase().replace(/\s+/g, ""); }

  function matches(text) {
    var asked = words(text);
    if (!asked) return [];
    return gridmgmt.places().map(function (place) {
      var name = words(place.name), rank = place.code === asked ? 0 : name.indexOf(asked) === 0 ? 1 : name.indexOf(asked) > 0 ? 2
        : place.code.indexOf(asked) === 0 ? 3 : words((place["in"] || "") + name).indexOf(asked) >= 0 ? 4 : 9;
      return [rank, place];
    }).filter(function (each) { return each[0] < 9; }).sort(function (a, b) { return a[0] - b[0] || (a[1].code < b[1].code ? -1 : 1); })
      .map(function (each) { return each[1]; });
  }

  function suggest() {
    var found = matches(search.value), asked = search.value.trim();
    at = -1;
    list.replaceChildren();
    found.slice(0, MOST).forEach(function (place, k) {
      var line = element("li", "", place.name);
      line.id = "found-" + k;
      line.dataset.code = place.code;
      line.setAttribute("role", "option");
      line.append(element("small", "", place["in"] || ""));
      list.append(line);
    });
    if (asked && !found.length) list.append(element("li", "none", "没有叫这个名字或代码的地方"));
    if (found.length > MOST) list.append(element("li", "none", "还有 " + (found.length - MOST) + " 个，请多打几个字"));
    list.hidden = !asked;
    search.setAttribute("aria-expanded", String(!list.hidden));
    mark(found.length ? 0 : -1);
  }

  function mark(k) {
    var lines = list.querySelectorAll("[data-code]");
    at = lines.length ? (k + lines.length) % lines.length : -1;
    lines.forEach(function (line, n) { line.setAttribute("aria-selected", String(n === at)); });
    if (at >= 0) search.setAttribute("aria-activedescendant", lines[at].id);
    else search.removeAttribute("aria-activedescendant");
  }

  function go(code) {
    list.hidden = true;
    search.setAttribute("aria-expanded", "false");
    if (code) gridmgmt.select(code);
  }

  if (search) {
    search.addEventListener("input", suggest);
    search.addEventListener("focus", function () { if (search.value) suggest(); });
    search.addEventListener("blur", function () { setTimeout(function () { list.hidden = true; search.setAttribute("aria-expanded", "false"); }, 150); });
    search.addEventListener("keydown", function (event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(at + (event.key === "ArrowDown" ? 1 : -1)); }
      else if (event.key === "Enter") { event.preventDefault(); if (at >= 0) go(list.querySelectorAll("[data-code]")[at].dataset.code); }
      else if (event.key === "Escape") { event.stopPropagation(); search.value = ""; suggest(); search.blur(); }
    });
    list.addEventListener("mousedown", function (event) {
      var line = event.target.closest("[data-code]");
      if (line) { event.preventDefault(); search.value = line.firstChild.textContent; go(line.dataset.code); }
    });
  }

  /* --- the full screen */

  document.addEventListener("click", function (event) {
    if (!event.target.closest("#whole-screen")) return;
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
  document.addEventListener("fullscreenchange", function () {
    document.documentElement.classList.toggle("whole-screen", Boolean(document.fullscreenElement));
    var button = document.getElementById("whole-screen");
    if (button) button.textContent = document.fullscreenElement ? "退出全屏" : "全屏";
  });
  new ResizeObserver(function () { gridmgmt.shown().invalidateSize({ animate: false, pan: false }); }).observe(document.querySelector(".folium-map"));

  /* An open menu closes when something else is pressed. */
  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.drop[open]").forEach(function (each) { if (!each.contains(event.target)) each.open = false; });
  });

  /* --- paper: the map is drawn anew in the size of the sheet, and back */

  var held = null;
  addEventListener("beforeprint", function () {
    var map = gridmgmt.shown();
    held = { bounds: map.getBounds(), centre: map.getCenter(), zoom: map.getZoom() };
    document.documentElement.classList.add("on-paper");
    map.invalidateSize({ animate: false, pan: false });
    map.fitBounds(held.bounds, { animate: false });
    /* A canvas drawn while printing comes out blank; a picture of it does not. */
    held.pictures = Array.from(document.querySelectorAll(".folium-map canvas")).map(function (canvas) {
      var picture = element("img", canvas.className);
      picture.decoding = "sync";
      picture.alt = "";
      picture.src = canvas.toDataURL();
      ["width", "height", "transform", "position"].forEach(function (each) { picture.style[each] = canvas.style[each]; });
      canvas.before(picture);
      canvas.hidden = true;
      return [picture, canvas];
    });
  });
  addEventListener("afterprint", function () {
    if (!held) return;
    held.pictures.forEach(function (pair) { pair[0].remove(); pair[1].hidden = false; });
    document.documentElement.classList.remove("on-paper");
    gridmgmt.shown().invalidateSize({ animate: false, pan: false });
    gridmgmt.shown().setView(held.centre, held.zoom, { animate: false });
    held = null;
  });

  window.gridmgmtDesk = { open: show, close: close };

  /* A link with an area opens its card, once there is a map to show it on. */
  if (card.dataset.open) {
    var first = function () { document.removeEventListener("gridmgmt:drawn", first); gridmgmt.select(card.dataset.open); };
    if (document.querySelector('.folium-map[data-ready="yes"]')) first();
    else document.addEventListener("gridmgmt:drawn", first);
  }
})();
