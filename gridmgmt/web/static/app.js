/* Keys, the drawer, and the link between a list and its map. */
(function () {
  "use strict";

  function rowOf(target) { return target.closest ? target.closest("[data-area]") : null; }

  document.addEventListener("mouseover", function (event) {
    var row = rowOf(event.target);
    if (row && window.gridmgmt) gridmgmt.link(row.dataset.area);
  });
  document.addEventListener("mouseout", function (event) {
    if (rowOf(event.target) && window.gridmgmt) gridmgmt.unlink();
  });
  document.addEventListener("focusin", function (event) {
    var row = rowOf(event.target);
    if (row && window.gridmgmt) gridmgmt.link(row.dataset.area);
  });

  /* A ring of the wheel and its line in the list beside it light each other. */
  function rings(category, lit) {
    document.querySelectorAll('[data-ring="' + CSS.escape(category) + '"]').forEach(function (each) { each.classList.toggle("linked", lit); });
  }

  ["mouseover", "focusin", "mouseout", "focusout"].forEach(function (kind) {
    document.addEventListener(kind, function (event) {
      var ring = event.target.closest && event.target.closest("[data-ring]");
      if (ring) rings(ring.dataset.ring, kind === "mouseover" || kind === "focusin");
    });
  });

  /* On a narrow screen the strip of 旬 begins at today's. */
  function toNow() {
    var strip = document.querySelector(".strip-scroll"), now = strip && strip.querySelector("th.now");
    if (now && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = now.offsetLeft - strip.clientWidth * 0.6;
  }
  toNow();
  document.addEventListener("htmx:afterSettle", toNow);

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-close]")) { close(); return; }
    if (event.target.closest("a, input, select, label, details")) return;
    var lane = event.target.closest("[data-category]");
    if (lane) { filterBy(lane.dataset.category); return; }
    var row = rowOf(event.target);
    if (row && window.gridmgmt) { gridmgmt.select(row.dataset.area); return; }
    var line = event.target.closest("tr[data-open]");
    if (line) line.querySelector("a").click();
  });

  function filterBy(category) {
    var picked = document.getElementById("category");
    picked.value = picked.value === category ? "" : category;
    picked.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /* The drawer: evidence beside the list; Esc closes it and the focus returns to the row. */
  var opener = null;
  document.addEventListener("htmx:afterSwap", function (event) {
    if (event.target.id !== "drawer") return;
    opener = event.detail.requestConfig.elt;
    document.querySelectorAll("tr.current").forEach(function (row) { row.classList.remove("current"); });
    if (opener.closest("tr")) opener.closest("tr").classList.add("current");
    event.target.classList.add("open");
    event.target.querySelector(".drawer-body").focus({ preventScroll: true });
  });

  function close() {
    var drawer = document.getElementById("drawer");
    if (!drawer || !drawer.classList.contains("open")) return;
    drawer.classList.remove("open");
    document.querySelectorAll("tr.current").forEach(function (row) { row.classList.remove("current"); });
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
  }

  document.addEventListener("keydown", function (event) {
    var writing = event.target.matches("input, select, textarea");
    if (event.key === "Escape") close();
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { var search = document.getElementById("q"); if (search) { event.preventDefault(); search.focus(); } }
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  });

  function step(by) {
    var rows = Array.from(document.querySelectorAll(".ranked .name, .items .what a"));
    var at = rows.indexOf(document.activeElement);
    var next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    if (next) next.focus();
  }

  /* A fragment that could not be fetched must not look like an answer. */
  document.addEventListener("htmx:responseError", function () { location.reload(); });
  document.addEventListener("htmx:sendError", function () {
    var main = document.getElementById("main");
    if (!main || document.querySelector(".offline")) return;
    var notice = document.createElement("p");
    notice.className = "notice offline";
    notice.setAttribute("role", "alert");
    notice.textContent = "没有连上服务器，页面还是刚才的内容。请检查网络后再试。";
    main.prepend(notice);
  });
})();
