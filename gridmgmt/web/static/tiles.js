/* Layers that are large or computed: buildings and matters as vector tiles, clusters of now, a density; and the
   arrow to the north. Nothing is fetched before a layer is switched on. */
(function () {
  "use strict";

  var nonce = document.currentScript ? document.currentScript.nonce : "";
  var styles = getComputedStyle(document.documentElement);
  var libraries = {}, told = {}, legends = {}, box = null;
  var FLAGS = [["dilapidated", "危旧房"], ["low_lying", "低洼"], ["self_built", "自建房"]];
  var AGES = [[30, "近 30 天"], [365, "近一年"], [Infinity, "更早"]];
  var DAY = 86400000, REACH = 9, LISTED = 6;

  function colour(name) { return styles.getPropertyValue("--" + name).trim(); }

  function element(tag, className, text) {
    var made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function number(value, digits) { return Number(value).toLocaleString("zh-CN", { maximumFractionDigits: digits || 0 }); }

  function library(address) {
    return libraries[address] || (libraries[address] = new Promise(function (done, fail) {
      var script = element("script");
      script.nonce = nonce;
      script.onload = done;
      script.onerror = fail;
      script.src = address;
      document.head.append(script);
    }));
  }

  function fetched(address, tries) {
    return fetch(address, { credentials: "same-origin" }).then(function (answer) {
      if (answer.status === 401) location.reload();
      if (answer.status === 503 && tries) { /* another worker is computing it */
        return new Promise(function (done) { setTimeout(done, 1000); }).then(function () { return fetched(address, tries - 1); });
      }
      if (!answer.ok) throw new Error(address + ": " + answer.status);
      return answer.json();
    });
  }

  /* The column says what the map shows; its address of values holds the category and the period. */
  var window_ = null;
  function choice() {
    var column = document.getElementById("column"), found = new URLSearchParams();
    var asked = new URL(column && column.dataset.values || "", location.href).searchParams;
    var period = /^(\d{4})(\d\d)(\d\d)-(\d{4})(\d\d)(\d\d)$/.exec(asked.get("period") || "");
    if (asked.get("category")) found.set("category", asked.get("category"));
    if (window_) { found.set("from", window_.from); found.set("to", window_.to); }
    else if (period) {
      found.set("from", period.slice(1, 4).join("-"));
      found.set("to", period.slice(4, 7).join("-"));
    }
    return found;
  }

  function address(url) {
    var asked = choice().toString();
    return asked ? url + "?" + asked : url;
  }

  function pane(map, name, order) {
    if (!map.getPane(name)) {
      var made = map.createPane(name);
      made.style.zIndex = order;
      made.style.pointerEvents = "none";
    }
    return name;
  }

  /* --- the legend of what is switched on */

  function legend(map, name, rows) {
    if (rows) legends[name] = rows;
    else delete legends[name];
    if (!box) {
      var control = L.control({ position: "bottomleft" });
      control.onAdd = function () {
        box = element("div", "tile-legend");
        L.DomEvent.disableClickPropagation(box);
        return box;
      };
      control.onRemove = function () { box = null; };
      control.addTo(map);
    }
    var made = [];
    Object.keys(legends).forEach(function (each) { made = made.concat(legends[each]()); });
    box.replaceChildren.apply(box, made);
    box.hidden = !made.length;
  }

  function title(text, small) {
    var made = element("div", "tile-legend-title", text);
    if (small) made.append(element("small", "", small));
    return made;
  }

  function row(draw, text) {
    var line = element("div", "tile-legend-row"), canvas = element("canvas"), ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.height = 18 * ratio;
    var pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    draw(pen, 9, 9);
    line.append(canvas, element("span", "", text));
    return line;
  }

  function swatch(className, text) {
    var line = element("div", "tile-legend-row");
    line.append(element("i", "swatch " + className), element("span", "", text));
    return line;
  }

  /* --- how one thing is drawn: by shape first, so that it reads in grey print */

  function outlined(pen, fill, width) {
    pen.fillStyle = fill;
    pen.strokeStyle = "#fff";
    pen.lineWidth = width || 1;
    pen.fill();
    pen.stroke();
  }

  function dot(pen, x, y, r) { pen.beginPath(); pen.arc(x, y, r, 0, 2 * Math.PI); }

  function path(pen, x, y, points) {
    pen.beginPath();
    points.forEach(function (p, k) { pen[k ? "lineTo" : "moveTo"](x + p[0], y + p[1]); });
    pen.closePath();
  }

  var BUILDINGS = {
    dilapidated: function (pen, x, y) { path(pen, x, y, [[-4.5, -4.5], [4.5, -4.5], [4.5, 4.5], [-4.5, 4.5]]); outlined(pen, colour("rate-5")); },
    low_lying: function (pen, x, y) { path(pen, x, y, [[-5.5, -4.5], [5.5, -4.5], [0, 5.5]]); outlined(pen, colour("gi-m3")); },
    self_built: function (pen, x, y) { path(pen, x, y, [[0, -5.5], [5.5, 0], [0, 5.5], [-5.5, 0]]); outlined(pen, colour("muted")); },
    plain: function (pen, x, y) { dot(pen, x, y, 2.6); outlined(pen, "#7d888b", 0.75); }
  };

  function flagOf(props) {
    var found = FLAGS.filter(function (flag) { return props[flag[0]]; })[0];
    return found ? found[0] : "plain";
  }

  function building(pen, x, y, props) {
    BUILDINGS[flagOf(props)](pen, x, y);
  }

  function ageOf(day) {
    var until = choice().get("to"), last = until ? Math.min(Date.parse(until), Date.now()) : Date.now();
    var days = (last - Date.parse(day)) / DAY;
    return AGES.findIndex(function (age) { return days <= age[0]; });
  }

  var SIZES = [4.5, 3.8, 3], SHADES = ["accent-deep", "accent", "muted"];

  function matter(pen, x, y, props) {
    if (props.n) { bubble(pen, x, y, props); return; }
    aged(pen, x, y, ageOf(props.day), props.open);
  }

  function aged(pen, x, y, age, open) {
    pen.globalAlpha = age === 2 ? 0.65 : 0.95;
    dot(pen, x, y, SIZES[age]);
    outlined(pen, colour(SHADES[age]));
    pen.globalAlpha = 1;
    if (!open) return;
    dot(pen, x, y, SIZES[age] + 2.6);
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 1.4;
    pen.stroke();
  }

  function bubble(pen, x, y, props) {
    var text = props.n > 9999 ? Math.round(props.n / 1000) / 10 + "万" : String(props.n);
    var r = Math.min(15, 6 + 2.1 * Math.log10(props.n) + (text.length > 2 ? 2 : 0));
    dot(pen, x, y, r);
    pen.globalAlpha = 0.88;
    outlined(pen, colour("accent"), 1.5);
    pen.globalAlpha = 1;
    pen.fillStyle = "#fff";
    pen.font = "600 10.5px system-ui, 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, x, y + 0.5);
  }

  /* --- vector tiles */

  var Tiles = L.Layer.extend({
    initialize: function (kind, options) {
      this.kind = kind;
      this.options = options;
      this.again = this.again.bind(this);
      this.picked = this.picked.bind(this);
    },
    onAdd: function (map) {
      legend(map, this.kind.name, this.kind.legend);
      document.addEventListener("htmx:afterSettle", this.again);
      document.addEventListener("gridmgmt:period", this.again);
      map.getContainer().addEventListener("click", this.picked, true);
      var self = this;
      library(this.options.library).then(function () { if (self._map) self.draw(); }).catch(function () { self.fail(); });
    },
    onRemove: function (map) {
      legend(map, this.kind.name, null);
      document.removeEventListener("htmx:afterSettle", this.again);
      document.removeEventListener("gridmgmt:period", this.again);
      map.getContainer().removeEventListener("click", this.picked, true);
      if (this.inner) this.inner.remove();
      this.inner = this.shown = null;
    },
    fail: function () { legend(this._map, this.kind.name, function () { return [element("div", "tile-legend-row", "这一图层没有取到，请刷新页面")]; }); },
    draw: function () {
      var kind = this.kind, url = kind.chosen ? address(this.options.url) : this.options.url;
      if (url === this.shown) return;
      this.shown = url;
      if (this.inner) this.inner.remove();
      this.inner = protomapsL.leafletLayer({
        url: url, maxDataZoom: 17, minZoom: kind.from, maxZoom: 19, attribution: "", pane: pane(this._map, "tiles-" + kind.name, kind.order),
        paintRules: [{ dataLayer: kind.name, symbolizer: { draw: function (pen, geom, zoom, feature) {
          geom.forEach(function (part) { part.forEach(function (at) { kind.draw(pen, at.x, at.y, feature.props); }); });
        } } }], labelRules: []
      }).addTo(this._map);
      this._map.getContainer().dataset[kind.name] = "on";
    },
    again: function () { if (this._map && this.inner && this.kind.chosen) this.draw(); },
    /* Before the areas hear of the click: a dot lies over them. */
    picked: function (event) {
      var map = this._map;
      if (!this.inner || event.target.closest(".leaflet-control, .leaflet-popup") || map.dragging && map.dragging.moved()) return;
      if (map.getZoom() < this.kind.from - 0.5) return;
      var at = map.mouseEventToLatLng(event).wrap();
      var hits = this.inner.queryTileFeaturesDebug(at.lng, at.lat, REACH).get("") || [];
      if (!hits.length) return;
      event.stopPropagation();
      var found = hits.map(function (hit) { return hit.feature; });
      var many = found.filter(function (each) { return each.props.n > 1; })[0];
      if (many && map.getZoom() < 18) { map.setView(at, Math.min(18, Math.floor(map.getZoom()) + 2)); return; }
      this.say(at, found);
    },
    say: function (at, found) {
      var map = this._map, kind = this.kind, options = this.options;
      if (!told[options.names]) told[options.names] = fetched(options.names);
      told[options.names].then(function (names) {
        var text = element("div", "popup tile-popup");
        found.slice(0, LISTED).forEach(function (feature) { text.append(kind.say(feature, names, options)); });
        if (found.length > LISTED) text.append(element("p", "of", "此处还有 " + (found.length - LISTED) + " 处，放大后可分开"));
        L.popup({ maxWidth: 280 }).setLatLng(at).setContent(text).openOn(map);
      });
    }
  });

  function pairs(list) {
    var made = element("dl");
    list.forEach(function (pair) {
      if (pair[1] !== undefined && pair[1] !== null && pair[1] !== "") made.append(element("dt", "", pair[0]), element("dd", "", pair[1]));
    });
    return made;
  }

  function dayName(day) {
    var parts = day.split("-");
    return parts[0] + "年" + Number(parts[1]) + "月" + Number(parts[2]) + "日";
  }

  var KINDS = {
    buildings: {
      name: "buildings", from: 14, order: 416, draw: building, chosen: false,
      legend: function () {
        var rows = [title("房屋", "放大到街区后显示"), row(BUILDINGS.plain, "一般")];
        return rows.concat(FLAGS.map(function (flag) { return row(BUILDINGS[flag[0]], flag[1]); }));
      },
      say: function (feature) {
        var flags = FLAGS.filter(function (flag) { return feature.props[flag[0]]; }).map(function (flag) { return flag[1]; });
        var many = feature.props.n, homes = feature.props.households;
        var made = element("section"), name = many > 1 ? number(many) + " 栋房屋" : "房屋";
        made.append(element("h3", "", name), pairs([["情况", flags.join("、") || "一般"], ["住户", homes === undefined ? null : homes + " 户"]]));
        return made;
      }
    },
    matters: {
      name: "matters", from: 7, order: 418, draw: matter, chosen: true,
      legend: function () {
        return [title("诉求点", "数字为一处的件数，放大后分开")].concat(AGES.map(function (age, k) {
          return row(function (pen, x, y) { aged(pen, x, y, k, false); }, age[1]);
        }), [row(function (pen, x, y) { aged(pen, x, y, 0, true); }, "还在办理")]);
      },
      say: function (feature, names, options) {
        var props = feature.props, made = element("section");
        if (props.n) {
          made.append(element("h3", "", number(props.n) + " 件诉求"), pairs([["在办", props.n_open ? number(props.n_open) + " 件" : "没有"]]));
          return made;
        }
        made.append(element("h3", "", names.categories[props.category] || props.category));
        made.append(pairs([["日期", dayName(props.day)], ["网格", names.grids[props.grid] || props.grid], ["状态", props.open ? "在办" : "已办结"]]));
        if (feature.id) {
          var link = element("a", "", "查看这件诉求");
          link.href = options.page + feature.id;
          made.append(link);
        }
        return made;
      }
    }
  };

  /* --- clusters and density: what is asked again when the choice above the map changes */

  var Asked = L.Layer.extend({
    initialize: function (name, options, make, shade) {
      this.name = name;
      this.options = options;
      this.make = make;
      this.shade = shade;
      this.again = this.again.bind(this);
    },
    onAdd: function () {
      document.addEventListener("htmx:afterSettle", this.again);
      document.addEventListener("gridmgmt:period", this.again);
      this.veil(this.shade || "");
      this.again();
    },
    /* Two colour scales over one another tell nothing: the areas step back. */
    veil: function (opacity) { if (this.shade) this._map.getPane("overlayPane").style.opacity = opacity; },
    onRemove: function (map) {
      document.removeEventListener("htmx:afterSettle", this.again);
      document.removeEventListener("gridmgmt:period", this.again);
      this.veil("");
      if (this.inner) this.inner.remove();
      this.inner = this.shown = null;
      legend(map, this.name, null);
    },
    again: function () {
      var url = address(this.options.url), self = this;
      if (url === this.shown) return;
      this.shown = url;
      fetched(url, 20).then(function (found) {
        if (!self._map || url !== self.shown) return;
        if (self.inner) self.inner.remove();
        self.inner = self.make(found, self._map, self.options).addTo(self._map);
        self._map.getContainer().dataset[self.name] = "on";
      }).catch(function () {
        if (!self._map || url !== self.shown) return;
        if (self.inner) self.inner.remove();
        legend(self._map, self.name, function () { return [element("div", "tile-legend-row", "这一期间没有可画的内容")]; });
      });
    }
  });

  function clusters(found, map) {
    var look = { color: colour("ink"), weight: 2.5, dashArray: "6 4", fillColor: colour("gi-2"), fillOpacity: 0.18 };
    pane(map, "clusters", 425);
    map.getPane("clusters").style.pointerEvents = "auto";
    var group = L.geoJSON(found, { pane: "clusters", style: look, renderer: L.svg({ pane: "clusters" }), onEachFeature: function (feature, layer) {
      var own = feature.properties, head = "近期聚集 " + own.number + "：" + own.category;
      var tip = element("div", "tile-tip");
      tip.append(element("b", "", head), element("div", "", own.place + (own.areas > 1 ? "等 " + own.areas + " 处" : "")),
        element("div", "", dayName(own.from) + "至" + dayName(own.to)),
        element("div", "", number(own.observed) + " 件，按平时应有 " + number(own.expected, 1) + " 件"));
      layer.bindTooltip(tip, { sticky: true });
      var text = element("div", "popup tile-popup");
      text.append(element("h3", "", head), element("p", "", own.text));
      layer.bindPopup(text, { maxWidth: 320 });
    } });
    group.eachLayer(function (layer) {
      var label = element("span", "", String(layer.feature.properties.number));
      var icon = L.divIcon({ className: "tile-number", html: label, iconSize: [22, 22] });
      group.addLayer(L.marker(layer.getBounds().getCenter(), { icon: icon, pane: pane(map, "cluster-names", 431), interactive: false, keyboard: false }));
    });
    legend(map, "clusters", function () {
      return [title("近期聚集"), swatch("tile-cluster", found.features.length ? "到最后一天仍在，编号按把握" : "没有")];
    });
    return group;
  }

  function density(found, map, options) {
    var limits = found.breaks, bounds = found.bounds;
    legend(map, "density", function () {
      var rows = limits.map(function (limit, k) {
        return swatch("rate-" + (k + 1), k + 1 === limits.length ? number(limit) + " 以上" : number(limit) + " — " + number(limits[k + 1]));
      });
      return [title("诉求密度", found.unit)].concat(rows.reverse());
    });
    return L.imageOverlay(address(options.picture), [[bounds[1], bounds[0]], [bounds[3], bounds[2]]], { pane: pane(map, "density", 410), alt: "诉求密度" });
  }

  /* --- a basemap of vector tiles */

  function ground(options) {
    var Ground = L.Layer.extend({
      onAdd: function (map) {
        var self = this;
        library(options.library).then(function () {
          if (!self._map) return;
          self.inner = protomapsL.leafletLayer({ url: options.url, flavor: "light", lang: "zh", maxDataZoom: options.deepest, attribution: options.credit || "", pane: "tilePane" }).addTo(map);
        });
      },
      onRemove: function () { if (this.inner) this.inner.remove(); this.inner = null; }
    });
    return new Ground();
  }

  function north() {
    var control = L.control({ position: "topleft" });
    control.onAdd = function () {
      var made = element("div", "north-arrow"), space = "http://www.w3.org/2000/svg";
      var drawing = document.createElementNS(space, "svg"), needle = document.createElementNS(space, "path");
      drawing.setAttribute("viewBox", "0 0 20 20");
      drawing.setAttribute("aria-hidden", "true");
      needle.setAttribute("d", "M10 1 L15.5 18 L10 14 L4.5 18 Z");
      drawing.append(needle);
      made.setAttribute("role", "img");
      made.setAttribute("aria-label", "上方为北");
      made.title = "上方为北";
      made.append(element("span", "", "北"), drawing);
      return made;
    };
    return control;
  }

  document.addEventListener("gridmgmt:period", function (event) { window_ = event.detail; }, true);

  window.gridmgmtTiles = {
    buildings: function (options) { return new Tiles(KINDS.buildings, options); },
    matters: function (options) { return new Tiles(KINDS.matters, options); },
    clusters: function (options) { return new Asked("clusters", options, clusters); },
    density: function (options) { return new Asked("density", options, density, "0.18"); },
    ground: ground, north: north
  };
})();
