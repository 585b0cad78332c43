/* How a job goes on, as it happens: events of the server move the bar; at its end the page is read anew. */
(function () {
  "use strict";
  var panel = document.querySelector("[data-events]");
  if (!panel || !window.EventSource) { return; }
  var spoken = "";

  function byId(id) { return document.getElementById(id); }

  function time(seconds) {
    if (seconds < 60) { return seconds + " 秒"; }
    if (seconds < 3600) { return Math.floor(seconds / 60) + " 分 " + seconds % 60 + " 秒"; }
    return Math.floor(seconds / 3600) + " 小时 " + Math.floor(seconds % 3600 / 60) + " 分";
  }

  function show(told) {
    var bar = panel.querySelector(".job-bar");
    var state = panel.querySelector("#job-state .state");
    state.lastChild.textContent = told.state;
    state.className = "state " + (told.status === "running" ? "busy" : "wait");
    state.firstChild.textContent = told.status === "running" ? "…" : "·";
    byId("job-doing").textContent = told.doing;
    byId("job-amount").textContent = told.percent === null ? "" : told.percent + "%  " + told.amount;
    byId("job-seconds").textContent = time(told.seconds);
    bar.classList.toggle("unknown", told.percent === null && told.status === "running");
    bar.querySelector(".done").setAttribute("width", (told.percent || 0) + "%");
    if (told.state + told.doing !== spoken) {
      spoken = told.state + told.doing;
      byId("job-spoken").textContent = told.state + "，" + told.doing;
    }
  }

  var source = new EventSource(panel.getAttribute("data-events"));
  source.onmessage = function (event) {
    var told = JSON.parse(event.data);
    show(told);
    if (told.over) { source.close(); window.location.reload(); }
  };
  // A refusal ends a source for good (signed out, job gone): the page itself says why.
  source.onerror = function () {
    if (source.readyState === EventSource.CLOSED) { window.setTimeout(function () { window.location.reload(); }, 5000); }
  };
})();
