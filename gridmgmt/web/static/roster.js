/* The roster in the browser: a number shown for half a minute, buildings that stay open. */
(function () {
  "use strict";

  var SECONDS = 30, OPEN = "gridmgmt.open-buildings";

  function element(tag, className, text) {
    var made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* --- a number in full: fetched for its purpose, gone after SECONDS or when the page is left */
  function covered(box, mask) {
    box.textContent = mask;
    box.classList.remove("shown");
  }

  function refuse(form, words) {
    var old = form.querySelector(".refused");
    if (old) old.remove();
    var line = element("p", "refused", words);
    line.setAttribute("role", "alert");
    form.append(line);
  }

  document.addEventListener("submit", function (event) {
    var form = event.target.closest("form.reveal");
    if (!form || !event.submitter) return;
    event.preventDefault();
    var box = form.closest(".masked").querySelector("[data-field]"), mask = box.textContent;
    fetch(form.action, {
      method: "POST", credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" },
      body: new FormData(form, event.submitter)
    }).then(function (answer) {
      if (answer.redirected) { location.reload(); throw new Error("signed out"); }
      return answer.json();
    }).then(function (found) {
      if (!found.value) { refuse(form, found.refused); return; }
      form.closest("details").open = false;
      box.textContent = found.value;
      box.classList.add("shown");
      box.setAttribute("role", "status");
      var hide = function () { covered(box, mask); clearTimeout(clock); window.removeEventListener("pagehide", hide); };
      var clock = setTimeout(hide, SECONDS * 1000);
      window.addEventListener("pagehide", hide);
    }).catch(function () { refuse(form, "没有连上服务器，请稍后再试。"); });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.ask[open]").forEach(function (each) { each.open = false; });
    var hits = document.getElementById("hits");
    if (hits) hits.replaceChildren();
  });

  /* --- which buildings stood open, for the way back from a household; numbers of buildings, nothing else */
  function opened() {
    try { return JSON.parse(sessionStorage.getItem(OPEN)) || []; } catch (broken) { return []; }
  }

  opened().forEach(function (number) {
    var house = document.querySelector('details[data-building="' + CSS.escape(number) + '"]');
    if (house) house.open = true;
  });

  document.addEventListener("toggle", function (event) {
    var number = event.target.dataset && event.target.dataset.building;
    if (!number) return;
    var rest = opened().filter(function (each) { return each !== number; });
    sessionStorage.setItem(OPEN, JSON.stringify(event.target.open ? rest.concat(number) : rest));
  }, true);
})();
