/* The roster in the browser: a number shown for half a minute, buildings that stay open, dots on the map. */
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

  /* --- dots on the chief's map */
  function dots() {
    var column = document.querySelector("[data-buildings]"), holder = document.querySelector(".folium-map");
    var map = holder && window[holder.id];
    if (!column || !map) return;
    fetch(column.dataset.buildings, { credentials: "same-origin" }).then(function (answer) {
      if (answer.redirected) { location.reload(); throw new Error("signed out"); }
      if (!answer.ok) throw new Error(answer.status);
      return answer.json();
    }).then(function (found) {
      var pane = map.createPane("buildings"), ink = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
      pane.style.zIndex = 450;
      L.geoJSON(found, {
        pointToLayer: function (feature, at) {
          var todo = feature.properties.to_do;
          return L.circleMarker(at, {
            pane: "buildings", renderer: canvas(), radius: 7, weight: 3, fillOpacity: 1,
            color: todo ? "#b45309" : ink, fillColor: todo ? "#fff" : ink
          });
        }
      }).bindPopup(function (layer) { return card(layer.feature.properties, column.dataset); }, { maxWidth: 300 }).addTo(map);
      holder.parentNode.append(key());
      holder.dataset.buildings = found.features.length;
    }).catch(function () {
      holder.parentNode.append(element("p", "dots-key", "楼栋没有取到，请刷新页面。"));
    });
    var drawn;
    function canvas() { return drawn || (drawn = L.canvas({ pane: "buildings", tolerance: 8 })); }
  }

  function card(building, urls) {
    var box = element("div", "popup"), list = element("ul", "doors");
    box.append(element("h2", "", building.address));
    if (building.flags.length) box.append(element("p", "of", building.flags.join("、")));
    building.doors.forEach(function (door) {
      var line = element("li"), name = element("a", "", door.home ? door.door : door.door + "（没有登记住户）");
      name.href = door.home ? urls.home.replace("0", door.home) : urls.visit + "?dwelling=" + door.dwelling;
      line.append(name, element("span", door.verified ? "chip did" : "chip soon", door.verified ? "✓ 已核对" : "未核对"));
      list.append(line);
    });
    box.append(list);
    return box;
  }

  function key() {
    var box = element("p", "dots-key");
    box.append(element("i", "checked"), "已核对", element("i", "to-do"), "有未核对");
    return box;
  }

  dots();
})();
