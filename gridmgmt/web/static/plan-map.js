/* Grids of a plan on a folium map: coloured by households against the band, outlined by what the plan does. */
(function () {
  "use strict";

  var parts = gridmgmtParts;
  var map = window.map_city, band = [300, 500], group, canvas, shapes = {}, looks = {};

  var STEPS = [
    { key: "gi-m2", below: 0.5, of: 0 }, { key: "gi-m1", below: 1, of: 0 }, { key: "gi-0" },
    { key: "gi-1", above: 1, of: 1 }, { key: "gi-2", above: 1.5, of: 1 }
  ];

  function classOf(households) {
    if (households === null || households === undefined || households === "") return "";
    var count = typeof households === "number" ? households : 0;
    if (count < band[0] * 0.5) return "gi-m2";
    if (count < band[0]) return "gi-m1";
    if (count <= band[1]) return "gi-0";
    return count <= band[1] * 1.5 ? "gi-1" : "gi-2";
  }

  function style(feature) {
    var own = feature.properties, look = looks[own.key] || "";
    var made = { fillColor: parts.colour(classOf(own.households)) || "#fff", fillOpacity: 0.75, color: "#8c9a9b", weight: 0.6, dashArray: null };
    if (own.status === "changed" || own.status === "new") {
      made.color = parts.colour("accent");
      made.weight = 2;
      if (own.status === "new") made.dashArray = "6 3";
    }
    if (look === "theirs") { made.color = parts.colour("soon"); made.weight = 3; }
    if (look === "picked") { made.color = parts.colour("ink"); made.weight = 3; made.dashArray = null; made.fillOpacity = 0.5; }
    if (look === "linked") { made.color = parts.colour("ink"); made.weight = 2.5; made.dashArray = null; }
    return made;
  }

  function count(households) { return typeof households === "number" ? households.toLocaleString("zh-CN") : households; }

  function said(own) {
    var box = parts.element("span", "", own.name || own.key);
    if (own.households !== null && own.households !== undefined) box.append("：" + count(own.households) + " 户");
    return box;
  }

  function begin(given) {
    band = given.band || band;
    canvas = new parts.HatchCanvas({ padding: 0.2, tolerance: 2 });
    group = L.geoJSON(null, {
      renderer: canvas, smoothFactor: 0.4, style: style, pmIgnore: true, snapIgnore: true,
      onEachFeature: function (feature, layer) {
        var own = feature.properties;
        own.key = own.key || own.code;
        shapes[own.key] = layer;
        layer.bindTooltip(function () { return said(own); }, { sticky: true, className: "plan-tip" });
        layer.on("click", function (event) { if (given.onPick) given.onPick(own.key, event.originalEvent); });
        if (given.onOver) layer.on("mouseover", function () { given.onOver(own.key); }).on("mouseout", function () { given.onOver(null); });
      }
    }).addTo(map);
    map.on("layeradd", function (event) { if (event.layer.feature && shapes[event.layer.feature.properties.key] === event.layer) event.layer.setStyle(style(event.layer.feature)); });
    legend();
  }

  function legend() {
    var box = document.getElementById("legend");
    if (!box) return;
    var words = ["不到 " + band[0] / 2, band[0] / 2 + " — " + (band[0] - 1), band[0] + " — " + band[1], (band[1] + 1) + " — " + band[1] * 1.5, band[1] * 1.5 + " 以上"];
    var made = [parts.element("summary", "", "户数")];
    made[0].append(parts.element("small", "", "户"));
    STEPS.forEach(function (step, n) {
      var line = parts.element("div", "legend-row");
      line.append(parts.element("i", "swatch " + step.key), words[n]);
      made.push(line);
    });
    [["line-changed", "改了边界或名称"], ["line-new", "新网格"]].forEach(function (pair) {
      if (!document.querySelector("[data-plan]")) return;
      var line = parts.element("div", "legend-row");
      line.append(parts.element("i", pair[0]), pair[1]);
      made.push(line);
    });
    box.replaceChildren.apply(box, made);
  }

  function fetched(url) {
    return fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } }).then(function (answer) {
      if (answer.status === 401 || answer.redirected) { location.reload(); throw new Error("signed out"); }
      if (!answer.ok) throw new Error(url + ": " + answer.status);
      return answer.json();
    }).then(function (found) { return found.type === "Topology" ? parts.unpacked(found) : found; });
  }

  function load(url) {
    map.getContainer().dataset.ready = "no";
    return fetched(url).then(function (found) {
      group.clearLayers();
      shapes = {};
      group.addData(found);
      map.getContainer().dataset.ready = "yes";
    }).catch(function (error) {
      map.getContainer().dataset.ready = "failed";
      parts.failed();
      throw error;
    });
  }

  function remove(key) {
    if (!shapes[key]) return;
    group.removeLayer(shapes[key]);
    delete shapes[key];
  }

  function replace(features) {
    features.forEach(function (feature) { remove(feature.properties.key); });
    group.addData({ type: "FeatureCollection", features: features });
    features.forEach(function (feature) { restyle(feature.properties.key); });
  }

  function restyle(key) {
    var layer = shapes[key];
    if (!layer) return;
    layer.setStyle(style(layer.feature));
    if (looks[key] || layer.feature.properties.status !== "same") layer.bringToFront();
  }

  /* Give some grids a look (picked, linked, theirs) and take it from all others. */
  function mark(look, keys) {
    var before = Object.keys(looks).filter(function (key) { return looks[key] === look; });
    before.forEach(function (key) { delete looks[key]; });
    keys.forEach(function (key) { if (look === "picked" || !looks[key]) looks[key] = look; });
    before.concat(keys).forEach(restyle);
  }

  function zoomTo(keys) {
    var inside = keys.map(function (key) { return shapes[key]; }).filter(Boolean);
    if (inside.length) map.fitBounds(L.featureGroup(inside).getBounds(), { padding: [80, 80], maxZoom: 16 });
    return inside.length;
  }

  window.planMap = {
    map: map, begin: begin, load: load, replace: replace, remove: remove, mark: mark, zoomTo: zoomTo, fetched: fetched,
    count: count, classOf: classOf,
    shapes: function () { return shapes; }, canvas: function () { return canvas; },
    own: function (key) { return shapes[key] ? shapes[key].feature.properties : null; }
  };

  /* The list of grids outside the band: no plan yet, only what is in force. */
  var column = document.querySelector("[data-in-force]");
  if (column && map) {
    begin({
      band: JSON.parse(column.dataset.band),
      onOver: function (key) {
        document.querySelectorAll(".linked").forEach(function (row) { row.classList.remove("linked"); });
        if (key) document.querySelectorAll('[data-area="' + CSS.escape(key) + '"]').forEach(function (row) { row.classList.add("linked"); });
      }
    });
    load(column.dataset.inForce);
    gridmgmt.link = function (codes) { mark("linked", codes.split(" ")); };
    gridmgmt.unlink = function () { mark("linked", []); };
    gridmgmt.select = function (codes) { zoomTo(codes.split(" ")); };
  }
})();
