/* Two states of the grids in one place: left of the slider what was, right of it what the plan makes of it. */
(function () {
  "use strict";

  var root = document.querySelector("[data-compare]"), map = window.map_city, parts = gridmgmtParts;
  if (!root || !map) return;
  var slider = document.getElementById("slider"), divide = document.getElementById("divide"), shapes = {};
  var FILL = { before: { changed: "#e4c9a8", gone: "#e4c9a8" }, after: { changed: "#bfe0de", "new": "#8fc7c4" } };

  function pane(name) {
    var made = map.createPane(name);
    made.style.zIndex = 410;
    return made;
  }

  function layer(side, found) {
    return L.geoJSON(found, {
      pane: pane(side), renderer: new parts.HatchCanvas({ pane: side, padding: 0.2 }), smoothFactor: 0.3,
      style: function (feature) {
        var status = feature.properties.status;
        return { color: parts.colour(side === "before" ? "soon" : "accent"), weight: 2, fillOpacity: 0.9, fillColor: FILL[side][status], hatched: status === "gone" };
      },
      onEachFeature: function (feature, each) {
        var key = feature.properties.key;
        shapes[key] = (shapes[key] || []).concat(each);
        each.bindTooltip(function () { return parts.element("span", "", feature.properties.name || key); }, { sticky: true, className: "plan-tip" });
      }
    }).addTo(map);
  }

  /* A pane's own origin moves with the map, so the cut is worked out anew whenever it moved. */
  function cut() {
    if (!map.getPane("after")) return;
    if (!slider) return;
    var size = map.getSize(), x = size.x * slider.value / 100;
    var from = map.containerPointToLayerPoint([0, 0]), to = map.containerPointToLayerPoint(size), at = from.x + x;
    divide.style.left = x + "px";
    map.getPane("before").style.clip = "rect(" + from.y + "px," + at + "px," + to.y + "px," + from.x + "px)";
    map.getPane("after").style.clip = "rect(" + from.y + "px," + to.x + "px," + to.y + "px," + at + "px)";
  }

  function fetched(url) {
    return fetch(url, { credentials: "same-origin" }).then(function (answer) {
      if (!answer.ok) throw new Error(url + ": " + answer.status);
      return answer.json();
    }).then(function (found) { return found.type === "Topology" ? parts.unpacked(found) : found; });
  }

  var legend = document.getElementById("legend");
  if (legend) legend.remove();
  Promise.all([fetched(root.dataset.compare), fetched(root.dataset.outlines)]).then(function (found) {
    L.geoJSON(found[1], { renderer: L.canvas({ padding: 0.2 }), interactive: false, style: { color: "#a9b5b6", weight: 0.6, fillColor: "#f1f3f1", fillOpacity: 1 } }).addTo(map);
    var before = layer("before", found[0].before), after = layer("after", found[0].after);
    var all = L.featureGroup([before, after]);
    if (before.getLayers().length || after.getLayers().length) map.fitBounds(all.getBounds(), { padding: [40, 40], maxZoom: 16 });
    cut();
    map.getContainer().dataset.ready = "yes";
  }).catch(function (error) {
    map.getContainer().dataset.ready = "failed";
    throw error;
  });
  map.on("move zoomend resize viewreset", cut);
  if (slider) slider.addEventListener("input", cut);
  document.querySelectorAll("tr[data-key]").forEach(function (row) {
    row.addEventListener("click", function () {
      var own = shapes[row.dataset.key];
      if (own) map.fitBounds(L.featureGroup(own).getBounds(), { padding: [80, 80], maxZoom: 16 });
    });
  });
  var other = document.getElementById("with");
  if (other) other.addEventListener("change", function () { other.form.submit(); });
})();
