/* The inbox: a press on a line shows it beside the list; Esc empties the pane. The matter: parts fetched beside it. */
(function () {
  "use strict";

  document.addEventListener("click", function (event) {
    var row = event.target.closest("tr[data-row]");
    if (row && !event.target.closest("a, button, summary, input")) row.querySelector(".what a").focus();
  });

  document.addEventListener("focusin", function (event) {
    var row = event.target.closest("tr[data-row]");
    if (!row) return;
    document.querySelectorAll("tr.current").forEach(function (each) { each.classList.remove("current"); });
    row.classList.add("current");
    row.scrollIntoView({ block: "nearest" });
  });

  /* A letter opens what it stands beside: a goes on, d hands over, r returns, c closes, m makes a note. */
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    var act = /^[a-z]$/.test(event.key) && document.querySelector('.acts [data-key="' + event.key + '"]');
    if (!act) return;
    event.preventDefault();
    if ("open" in act) act.open = true;
    var field = act.querySelector("select, textarea, input:not([type=hidden]), button");
    field.focus();
    act.scrollIntoView({ block: "nearest" });
  });

  /* A part beside the matter that could not be fetched says so; reloading the page for it might never end. */
  document.addEventListener("htmx:responseError", function (event) {
    var part = event.detail.elt;
    if (!part.matches("[data-beside]")) return;
    event.stopImmediatePropagation();
    part.textContent = "这一部分没有取到，请稍后刷新再看。";
    part.className = "notice";
  }, true);

  document.addEventListener("keydown", function (event) {
    var pane = document.getElementById("preview");
    if (event.key !== "Escape" || !pane) return;
    if (event.target.matches("#q")) { event.target.blur(); return; }
    pane.textContent = "";
    document.querySelectorAll("tr.current").forEach(function (each) { each.classList.remove("current"); });
  });
})();
