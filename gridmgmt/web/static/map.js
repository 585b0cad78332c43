/* What the layers of a folium map do in the browser. */
(function () {
  "use strict";

  var parts = gridmgmtParts;
  var map, canvas, areas, view = {}, scene = null, shown = {}, shapes = {}, asked = {}, outlined = false, linked = [], chosen = "";

  function create(id, options) {
    L.Control.Zoom.prototype.options.zoomInTitle = "放大";
    L.Control.Zoom.prototype.options.zoomOutTitle = "缩小";
    /* Open, the switch would cover the map it switches. */
    var layers = L.control.layers;
    L.control.layers = function (base, over, given) { return layers(base, over, Object.assign({}, given, { collapsed: parts.small() || parts.hasCard() })); };
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
    var today = parts.ofToday(now.measure) ? now.today : "";
    if (now.areas !== before.areas || now.values !== before.values || (today || before.today) !== before.today) {
      view = { areas: now.areas, values: now.values, today: today || "", measure: now.measure, own: now.own };
      load(before);
    } else if (now.measure !== before.measure) show(now.measure);
  }

  function load(before) {
    var mine = view;
    var outlines = view.areas === before.areas && areas ? null : fetched(view.areas);
    var numbers = view.values ? fetched(view.values) : { areas: {}, breaks: {}, unit: "" };
    map.getContainer().dataset.ready = "no";
    Promise.all([outlines, numbers, view.today ? fetched(view.today) : null]).then(function (found) {
      if (mine !== view) return; /* a later choice overtook this one */
      scene = { measure: view.measure, values: found[1], today: found[2], window: null };
      if (found[0]) draw(found[0]);
      show(view.measure);
      map.getContainer().dataset.ready = "yes";
      document.dispatchEvent(new CustomEvent("gridmgmt:drawn"));
    }).catch(function (error) {
      if (mine !== view) return;
      map.getContainer().dataset.ready = "failed";
      view = {};
      parts.failed(read);
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
    if (parts.hasCard()) layer.on("click", function () { gridmgmtDesk.open(code); });
    else layer.bindPopup(function () { return parts.popup(own, scene.values.areas[code], scene.values.unit, "gi" in shown); }, { maxWidth: 320 });
    layer.bindTooltip(function () { return parts.tooltip(own, scene); }, { sticky: true });
    layer.on("mouseover", function () { link(code, true); });
    layer.on("mouseout", unlink);
  }

  function style(feature) {
    var code = feature.properties.code, known = scene.values.areas[code];
    if (view.own) return { fillColor: parts.colour("accent"), fillOpacity: 0.12, color: parts.colour("accent"), weight: 3 };
    var now = parts.reading(scene, code), hot = outlined && !scene.window && known && known[3] >= 2 && view.measure !== "gi";
    return {
      fillColor: parts.colour(now.look), fillOpacity: map.getPane("tilePane").childElementCount ? 0.72 : 1, hatched: Boolean(now.hatched),
      color: parts.colour(code === chosen ? "ink" : hot ? "gi-3" : "edge"), weight: code === chosen ? 3 : hot ? 2 : 0.5
    };
  }

  function show(measure) {
    view.measure = measure;
    if (scene) scene = { measure: measure, values: scene.values, today: scene.today, window: scene.window };
    if (shown[measure] && !map.hasLayer(shown[measure])) {
      Object.keys(shown).forEach(function (each) { if (each !== measure) shown[each].remove(); });
      shown[measure].addTo(map);
    }
    restyle();
  }

  function restyle() {
    if (!areas || !scene) return;
    areas.setStyle(style);
    areas.eachLayer(function (layer) { if (layer.options.weight > 1) layer.bringToFront(); });
    if (shapes[chosen]) shapes[chosen].bringToFront();
    parts.explain(scene);
  }

  /* A part of the period: { name, counts, limits }, or null for all of it. */
  function during(found) {
    if (!scene) return;
    scene = { measure: scene.measure, values: scene.values, today: scene.today, window: found };
    restyle();
  }

  /* The area whose card is open. */
  function mark(code) {
    var before = chosen;
    chosen = code;
    [before, code].forEach(function (each) { if (shapes[each] && scene) shapes[each].setStyle(style(shapes[each].feature)); });
    if (shapes[code]) shapes[code].bringToFront();
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
    var canvas = L.canvas({ pane: paneName });
    var group = L.geoJSON(null, {
      interactive: false, renderer: canvas, filter: keep, style: look,
      pointToLayer: function (_, at) { return L.circleMarker(at, { radius: 5, renderer: canvas }); }
    });
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
    var look = {
      river: { color: parts.colour("river"), weight: 2.5, fillColor: parts.colour("river"), fillOpacity: 0.8 },
      road: { color: parts.colour("road"), weight: 1.2, fill: false }
    }[options.layer] || { color: parts.colour("ink"), weight: 1.5, fillColor: parts.colour("ink"), fillOpacity: 0.25 };
    return lines(options.url, look, "lines", function (feature) { return feature.properties.layer === options.layer; });
  }

  /* A row under the pointer lights its areas (codes parted by blanks), and an area its rows. */
  function link(codes, fromMap) {
    unlink();
    linked = codes.split(" ").filter(function (code) { return shapes[code] && scene; });
    linked.forEach(function (code) {
      shapes[code].setStyle({ color: parts.colour("ink"), weight: 3 });
      shapes[code].bringToFront();
    });
    if (!fromMap) return;
    document.querySelectorAll('[data-area~="' + CSS.escape(codes) + '"]').forEach(function (row) { row.classList.add("linked"); });
  }

  function unlink() {
    linked.forEach(function (code) { if (shapes[code] && scene) shapes[code].setStyle(style(shapes[code].feature)); });
    linked = [];
    document.querySelectorAll(".linked").forEach(function (row) { row.classList.remove("linked"); });
  }

  /* Go to an area and open its card; a whole village or town shows all grids inside it. */
  function select(codes) {
    var inside = Array.from(new Set([].concat.apply([], codes.split(" ").map(within)))).map(function (code) { return shapes[code]; });
    /* With enough around it to see where it lies. */
    if (inside.length) map.fitBounds(L.featureGroup(inside).getBounds(), { padding: map.getSize().multiplyBy(inside.length > 1 ? 0.1 : 0.36), maxZoom: Math.max(map.getZoom(), 14) });
    if (parts.hasCard()) { if (codes.indexOf(" ") < 0) gridmgmtDesk.open(codes); }
    else if (inside.length === 1) inside[0].openPopup();
  }

  function places() { return Object.keys(shapes).map(function (code) { return shapes[code].feature.properties; }); }

  function within(code) {
    if (shapes[code]) return [code];
    return Object.keys(shapes).filter(function (each) { return each.indexOf(code) === 0 || code.indexOf(each) === 0; });
  }

  window.gridmgmt = {
    map: create, shading: shading, outlines: outlines, towns: towns, context: context, legend: parts.legend,
    link: link, unlink: unlink, select: select, during: during, mark: mark, places: places, shown: function () { return map; }
  };
})();
