/* What the layers of a folium map do in the browser. */
(function () {
  "use strict";

  var parts = gridmgmtParts;
  var map, canvas, areas, view = {}, values = null, shown = {}, shapes = {}, asked = {}, outlined = false, linked = [];

  function create(id, options) {
    L.Control.Zoom.prototype.options.zoomInTitle = "放大";
    L.Control.Zoom.prototype.options.zoomOutTitle = "缩小";
    /* On a phone the switch would cover the map it switches. */
    var layers = L.control.layers;
    L.control.layers = function (base, over, given) { return layers(base, over, Object.assign({}, given, { collapsed: parts.small() })); };
    var still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    var motion = { zoomAnimation: !still, fadeAnimation: !still, markerZoomAnimation: !still, inertia: !still };
    map = L.map(id, Object.assign({ attributionControl: false, minZoom: 3, maxZoom: 19 }, motion, options));
    if (still) map.panBy = function (offset, given) { return L.Map.prototype.panBy.call(map, offset, Object.assign({}, given, { animate: false })); };
    L.control.attribution({ prefix: false }).addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    pane("towns", 415);
    pane("lines", 420);
    pane("names", 430);
    canvas = new parts.HatchCanvas({ padding: 0.2 });
    document.addEventListener("htmx:afterSettle", read);
    map.on("baselayerchange", function (event) { choose(event.layer.measure); });
    map.on("zoomend", spread);
    read();
    return map;
  }

  function pane(name, order) {
    var made = map.createPane(name);
    made.style.zIndex = order;
    made.style.pointerEvents = "none";
  }

  function fetched(url) {
    return fetch(url, { credentials: "same-origin" }).then(function (answer) {
      if (answer.status === 401) location.reload(); /* the session ended: the page asks to sign in */
      if (!answer.ok) throw new Error(url + ": " + answer.status);
      return answer.json();
    }).then(function (found) {
      return found.type === "Topology" ? parts.unpacked(found) : found;
    });
  }

  function once(url) { return asked[url] || (asked[url] = fetched(url)); }

  /* The column says what the map shows; it is swapped when the choice above the map changes. */
  function read() {
    var column = document.getElementById("column");
    if (!column) return;
    var before = view, now = column.dataset;
    if (now.areas !== before.areas || now.values !== before.values) {
      view = { areas: now.areas, values: now.values, measure: now.measure, own: now.own };
      load(before);
    } else if (now.measure !== before.measure) show(now.measure);
  }

  function load(before) {
    var mine = view;
    var outlines = view.areas === before.areas && areas ? null : fetched(view.areas);
    var numbers = view.values ? fetched(view.values) : { areas: {}, breaks: { rate: [], count: [] }, unit: "" };
    map.getContainer().dataset.ready = "no";
    Promise.all([outlines, numbers]).then(function (found) {
      if (mine !== view) return; /* a later choice overtook this one */
      values = found[1];
      if (found[0]) draw(found[0]);
      show(view.measure);
      map.getContainer().dataset.ready = "yes";
    }).catch(function (error) {
      map.getContainer().dataset.ready = "failed";
      parts.failed();
      throw error;
    });
  }

  function draw(collection) {
    if (areas) areas.remove();
    shapes = {};
    areas = L.geoJSON(collection, { renderer: canvas, smoothFactor: 0.5, onEachFeature: prepare }).addTo(map);
  }

  function prepare(feature, layer) {
    var own = feature.properties, code = own.code;
    shapes[code] = layer;
    layer.bindPopup(function () { return parts.popup(own, values.areas[code], values.unit, "gi" in shown); }, { maxWidth: 320 });
    layer.bindTooltip(function () { return parts.tooltip(own, values.areas[code], view.measure, values.unit); }, { sticky: true });
    layer.on("mouseover", function () { link(code, true); });
    layer.on("mouseout", unlink);
  }

  function style(feature) {
    var value = values.areas[feature.properties.code];
    var hot = outlined && value && value[3] >= 2 && view.measure !== "gi";
    if (view.own) return { fillColor: parts.colour("accent"), fillOpacity: 0.12, color: parts.colour("accent"), weight: 3 };
    return {
      fillColor: parts.colour(parts.className(value, view.measure, values.breaks)), fillOpacity: map.getPane("tilePane").childElementCount ? 0.72 : 1,
      hatched: Boolean(value && value[4] && view.measure !== "gi"),
      color: parts.colour(hot ? "gi-3" : "edge"), weight: hot ? 2 : 0.5
    };
  }

  function show(measure) {
    view.measure = measure;
    if (shown[measure] && !map.hasLayer(shown[measure])) {
      Object.keys(shown).forEach(function (each) { if (each !== measure) shown[each].remove(); });
      shown[measure].addTo(map);
    }
    restyle();
  }

  function restyle() {
    if (!areas || !values) return;
    areas.setStyle(style);
    areas.eachLayer(function (layer) { if (layer.options.weight > 1) layer.bringToFront(); });
    parts.explain(view.measure, values);
  }

  /* The layer switch and the bar above the map are one choice: the switch presses the bar's button. */
  function choose(measure) {
    if (!measure || measure === view.measure) return;
    var button = document.querySelector('input[name="measure"][value="' + measure + '"]');
    if (!button) { show(measure); return; }
    button.checked = true;
    button.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function shading(options) {
    var Shading = L.Layer.extend({ onAdd: function () {}, onRemove: function () {} });
    shown[options.measure] = new Shading();
    shown[options.measure].measure = options.measure;
    return shown[options.measure];
  }

  function outlines() {
    var Outlines = L.Layer.extend({
      onAdd: function () { outlined = true; restyle(); },
      onRemove: function () { outlined = false; restyle(); }
    });
    return new Outlines();
  }

  function lines(url, look, paneName, keep, after) {
    var group = L.geoJSON(null, { interactive: false, renderer: L.canvas({ pane: paneName }), filter: keep, style: look });
    once(url).then(function (found) {
      group.addData(found);
      if (after) after(group, found);
    }).catch(function () { /* the map reads without its context */ });
    return group;
  }

  function towns(options) {
    var look = { color: parts.colour("town"), weight: 1.4, opacity: 0.75, fill: false };
    return lines(options.url, look, "towns", null, function (group, found) {
      if (found.features.length < 2) return;
      found.features.forEach(function (feature) {
        var at = feature.properties.label, text = parts.element("span", "", feature.properties.name);
        var icon = L.divIcon({ className: "town-name", html: text, iconSize: null });
        group.addLayer(L.marker([at[1], at[0]], { icon: icon, pane: "names", interactive: false, keyboard: false }));
      });
      spread();
    });
  }

  /* Names that would lie over one another at this zoom are left out. */
  function spread() {
    var taken = [];
    map.getPane("names").querySelectorAll(".town-name span").forEach(function (name) {
      name.style.visibility = "";
      var box = name.getBoundingClientRect();
      var hit = taken.some(function (other) {
        return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
      });
      if (hit) name.style.visibility = "hidden";
      else taken.push(box);
    });
  }

  function context(options) {
    var look = options.layer === "river"
      ? { color: parts.colour("river"), weight: 2.5, fillColor: parts.colour("river"), fillOpacity: 0.8 }
      : { color: parts.colour("road"), weight: 1.2, fill: false };
    return lines(options.url, look, "lines", function (feature) { return feature.properties.layer === options.layer; });
  }

  /* A row under the pointer lights its areas (codes parted by blanks), and an area its rows. */
  function link(codes, fromMap) {
    unlink();
    linked = codes.split(" ").filter(function (code) { return shapes[code] && values; });
    linked.forEach(function (code) {
      shapes[code].setStyle({ color: parts.colour("ink"), weight: 3 });
      shapes[code].bringToFront();
    });
    if (!fromMap) return;
    document.querySelectorAll('[data-area~="' + CSS.escape(codes) + '"]').forEach(function (row) { row.classList.add("linked"); });
  }

  function unlink() {
    linked.forEach(function (code) { if (shapes[code] && values) shapes[code].setStyle(style(shapes[code].feature)); });
    linked = [];
    document.querySelectorAll(".linked").forEach(function (row) { row.classList.remove("linked"); });
  }

  /* Go to an area and open its card; an item of a whole village or town shows all grids inside it. */
  function select(codes) {
    var inside = Array.from(new Set([].concat.apply([], codes.split(" ").map(within)))).map(function (code) { return shapes[code]; });
    if (!inside.length) return;
    map.fitBounds(L.featureGroup(inside).getBounds(), { padding: [64, 64], maxZoom: Math.max(map.getZoom(), 13) });
    if (inside.length === 1) inside[0].openPopup();
  }

  function within(code) {
    if (shapes[code]) return [code];
    return Object.keys(shapes).filter(function (each) { return each.indexOf(code) === 0 || code.indexOf(each) === 0; });
  }

  window.gridmgmt = {
    map: create, shading: shading, outlines: outlines, towns: towns, context: context, legend: parts.legend,
    link: link, unlink: unlink, select: select
  };
})();
