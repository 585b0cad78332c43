/* Two maps of one place and one scale that move together; an area under the pointer is lit in both. */
(function () {
  "use strict";

  var form = document.getElementById("choices");
  if (form) form.addEventListener("change", function () { form.submit(); });
  var data = document.getElementById("compared");
  if (!data || !window.gridmgmtParts) return;

  var parts = gridmgmtParts, given = JSON.parse(data.textContent);
  var boxes = Array.from(document.querySelectorAll(".side-map")), maps = [], shapes = [{}, {}], linked = null, following = false;
  L.Control.Zoom.prototype.options.zoomInTitle = "放大";
  L.Control.Zoom.prototype.options.zoomOutTitle = "缩小";

  function create(box, side) {
    var map = L.map(box, {
      attributionControl: false, zoomControl: side === 0, zoomSnap: 0.25, zoomDelta: 0.5, wheelPxPerZoomLevel: 90, preferCanvas: true,
      minZoom: 3, maxZoom: 18, zoomAnimation: false, fadeAnimation: false, inertia: false, keyboard: true
    });
    [["towns", 415], ["names", 430]].forEach(function (each) {
      var pane = map.createPane(each[0]);
      pane.style.zIndex = each[1];
      pane.style.pointerEvents = "none";
    });
    map.on("zoomend", spread);
    if (side === 1) L.control.scale({ imperial: false, position: "bottomright" }).addTo(map);
    var b = given.bounds;
    map.fitBounds([[b[1], b[0]], [b[3], b[2]]], { padding: [8, 8], animate: false });
    map.on("move", function () { follow(side); });
    return map;
  }

  function follow(side) {
    if (following || maps.length < 2) return;
    following = true;
    maps[1 - side].setView(maps[side].getCenter(), maps[side].getZoom(), { animate: false });
    following = false;
  }

  function fetched(url) {
    return fetch(url, { credentials: "same-origin" }).then(function (answer) {
      if (answer.status === 401) location.reload();
      if (!answer.ok) throw new Error(url + ": " + answer.status);
      return answer.json();
    }).then(parts.unpacked);
  }

  function style(side) {
    return function (feature) {
      var value = given.values[feature.properties.code];
      return {
        fillColor: parts.colour(value ? value[3 * side] : "rate-0"), fillOpacity: 1, hatched: Boolean(value && value[3 * side + 1]),
        color: parts.colour("edge"), weight: 0.5
      };
    };
  }

  function words(feature) {
    var value = given.values[feature.properties.code], box = parts.element("span", "");
    box.append(parts.element("b", "", feature.properties.name));
    if (value) box.append(parts.element("br"), given.names[0] + "：" + value[2], parts.element("br"), given.names[1] + "：" + value[5]);
    return box;
  }

  function draw(side, found, towns) {
    L.geoJSON(found, {
      renderer: new parts.HatchCanvas({ padding: 0.2 }), smoothFactor: 0.5, style: style(side),
      onEachFeature: function (feature, layer) {
        var code = feature.properties.code;
        shapes[side][code] = layer;
        layer.bindTooltip(function () { return words(feature); }, { sticky: true });
        layer.on("mouseover", function () { link(code, true); });
        layer.on("mouseout", unlink);
      }
    }).addTo(maps[side]);
    L.geoJSON(towns, { interactive: false, renderer: L.canvas({ pane: "towns" }), style: { color: parts.colour("town"), weight: 1.2, opacity: 0.75, fill: false } }).addTo(maps[side]);
    if (towns.features.length > 1) towns.features.forEach(function (feature) { name(side, feature); });
    spread();
    boxes[side].dataset.ready = "yes";
  }

  function name(side, feature) {
    var at = feature.properties.label, text = parts.element("span", "", feature.properties.name);
    var icon = L.divIcon({ className: "town-name", html: text, iconSize: null });
    L.marker([at[1], at[0]], { icon: icon, pane: "names", interactive: false, keyboard: false }).addTo(maps[side]);
  }

  /* Names that would lie over one another at this zoom are left out. */
  function spread() {
    boxes.forEach(function (box) {
      var taken = [];
      box.querySelectorAll(".town-name span").forEach(function (each) {
        each.style.visibility = "";
        var own = each.getBoundingClientRect();
        var hit = taken.some(function (other) { return own.left < other.right && other.left < own.right && own.top < other.bottom && other.top < own.bottom; });
        if (hit) each.style.visibility = "hidden";
        else taken.push(own);
      });
    });
  }

  function lit(code, on) {
    shapes.forEach(function (known, side) {
      var layer = known[code];
      if (!layer) return;
      if (on) { layer.setStyle({ color: parts.colour("ink"), weight: 3 }); layer.bringToFront(); }
      else layer.setStyle(style(side)(layer.feature));
    });
  }

  function link(code, fromMap) {
    unlink();
    linked = code;
    lit(code, true);
    if (!fromMap) return;
    document.querySelectorAll('[data-area="' + CSS.escape(code) + '"]').forEach(function (row) { row.classList.add("linked"); });
  }

  function unlink() {
    if (linked) lit(linked, false);
    linked = null;
    document.querySelectorAll(".linked").forEach(function (row) { row.classList.remove("linked"); });
  }

  function select(code) {
    var layer = shapes[0][code];
    if (!layer) return;
    maps[0].fitBounds(layer.getBounds(), { padding: [64, 64], maxZoom: Math.max(maps[0].getZoom(), 13), animate: false });
    link(code, true);
  }

  maps = boxes.map(create);
  window.gridmgmt = { link: link, unlink: unlink, select: select };
  Promise.all([fetched(given.areas), fetched(given.towns)]).then(function (found) {
    boxes.forEach(function (box, side) { draw(side, found[0], found[1]); });
  }).catch(function (error) {
    boxes.forEach(function (box) {
      box.dataset.ready = "failed";
      box.append(parts.element("p", "notice", "地图数据没有取到，请刷新页面。"));
    });
    throw error;
  });
})();
