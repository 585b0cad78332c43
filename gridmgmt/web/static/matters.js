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
