/* The wall turns its panels, fetches itself anew, and says so when it cannot. */
(function () {
  "use strict";

  var body = document.body, live = document.getElementById("live"), state = document.getElementById("state");
  var seconds = Number(body.dataset.seconds), refresh = Number(body.dataset.refresh), pause = document.getElementById("pause");
  var current = 0, paused = false, turned = Date.now(), over = false;

  function panels() { return Array.from(live.querySelectorAll(".panel")); }

  function show(index) {
    var all = panels();
    current = (index + all.length) % all.length;
    all.forEach(function (panel, n) { panel.classList.toggle("on", n === current); });
    document.querySelectorAll(".dot").forEach(function (dot, n) {
      if (n === current) dot.setAttribute("aria-current", "true");
      else dot.removeAttribute("aria-current");
    });
    turned = Date.now();
  }

  function hold(wanted) {
    paused = wanted;
    pause.setAttribute("aria-pressed", String(paused));
    pause.querySelector(".word").textContent = paused ? "继续" : "暂停";
    turned = Date.now();
  }

  function at() { return live.querySelector(".wall-data").dataset.at; }

  function told(text, lost) {
    state.classList.toggle("lost", lost);
    state.textContent = text;
  }

  function ended() {
    over = true;
    told("登录已到期，数据停在 " + at() + "　", true);
    var link = document.createElement("a");
    link.href = location.href;
    link.textContent = "重新登录";
    state.append(link);
  }

  function fetchAnew() {
    if (over) return;
    fetch(body.dataset.source, { credentials: "same-origin", cache: "no-store", headers: { "HX-Request": "true" } }).then(function (answer) {
      if (answer.headers.get("HX-Redirect") || answer.redirected || answer.status === 401) { ended(); return null; }
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.text();
    }).then(function (text) {
      if (text === null) return;
      live.innerHTML = text;
      show(current);
      told("数据 " + at(), false);
      later(refresh);
    }).catch(function () {
      told("连接中断，数据停在 " + at() + "，正在重连", true);
      later(Math.min(refresh, 15));
    });
  }

  function later(after) { setTimeout(fetchAnew, after * 1000); }

  var two = new Intl.DateTimeFormat("zh-CN", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "Asia/Shanghai" });
  var day = new Intl.DateTimeFormat("zh-CN", { month: "long", day: "numeric", weekday: "short", timeZone: "Asia/Shanghai" });

  function tick() {
    var now = new Date();
    document.getElementById("clock").textContent = two.format(now);
    document.getElementById("day").textContent = day.format(now);
    if (!paused && Date.now() - turned >= seconds * 1000) show(current + 1);
  }

  function full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (document.documentElement.requestFullscreen) document.documentElement.requestFullscreen().catch(function () { /* a browser may refuse */ });
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && !event.target.closest("button, a")) { event.preventDefault(); hold(!paused); }
    else if (event.key === "ArrowRight" || event.key === "ArrowDown") show(current + 1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") show(current - 1);
    else if (event.key === "f" || event.key === "F") full();
  });
  pause.addEventListener("click", function () { hold(!paused); });
  document.getElementById("full").addEventListener("click", full);
  document.querySelectorAll(".dot").forEach(function (dot) {
    dot.addEventListener("click", function () { show(Number(dot.dataset.panel)); });
  });
  window.addEventListener("online", fetchAnew);
  told("数据 " + at(), false);
  show(0);
  tick();
  setInterval(tick, 1000);
  later(refresh);
  body.dataset.ready = "yes";
})();
