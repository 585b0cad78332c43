/* The chief's map: a mark a building, its doors in a sheet from below, and where the telephone is. */
(function () {
  "use strict";

  var column = document.querySelector("[data-buildings]"), holder = document.querySelector(".folium-map");
  var map = holder && window[holder.id], sheet = document.getElementById("sheet");
  if (!column || !map) return;

  var FAR = 2000, urls = column.dataset, from = null, marked = null;
  // Shape says what kind of house it is, the filling whether a door is still unchecked; colour repeats it.
  var KINDS = [
    { flag: "危旧", shape: "triangle", colour: "#b3261e" }, { flag: "低洼", shape: "diamond", colour: "#1b5fa8" },
    { flag: "自建", shape: "square", colour: "#8a4b00" }, { flag: "", shape: "circle", colour: "#0b5f63" }
  ];

  function element(tag, className, text) {
    var made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function kindOf(flags) { return KINDS.find(function (kind) { return !kind.flag || flags.some(function (flag) { return flag.indexOf(kind.flag) === 0; }); }); }

  // --- marks

  var SHAPES = {
    circle: function (pen, x, y, r) { pen.arc(x, y, r, 0, 2 * Math.PI); },
    square: function (pen, x, y, r) { pen.rect(x - r, y - r, 2 * r, 2 * r); },
    triangle: function (pen, x, y, r) { lines(pen, [[x, y - 1.3 * r], [x + 1.2 * r, y + r], [x - 1.2 * r, y + r]]); },
    diamond: function (pen, x, y, r) { lines(pen, [[x, y - 1.4 * r], [x + 1.4 * r, y], [x, y + 1.4 * r], [x - 1.4 * r, y]]); }
  };

  function lines(pen, points) {
    points.forEach(function (at, n) { pen[n ? "lineTo" : "moveTo"](at[0], at[1]); });
    pen.closePath();
  }

  var Mark = L.CircleMarker.extend({
    _updatePath: function () {
      var canvas = this._renderer, pen = canvas._ctx;
      if (!canvas._drawing || this._empty()) return;
      pen.beginPath();
      SHAPES[this.options.shape](pen, this._point.x, this._point.y, this._radius);
      canvas._fillStroke(pen, this);
    }
  });

  /* Far away a village's houses would lie over one another. */
  function size() { return Math.min(8, Math.max(3, Math.round((map.getZoom() - 13) * 2))); }

  function look(building, picked) {
    var kind = kindOf(building.flags);
    return { shape: kind.shape, radius: size() + (picked ? 3 : 0), weight: picked ? 4 : size() > 5 ? 3 : 2, fillOpacity: 1, color: picked ? "#1d2b2e" : kind.colour, fillColor: building.to_do ? "#fff" : kind.colour };
  }

  function dress(mark, picked) {
    var now = look(mark.feature.properties, picked);
    mark.setStyle(now).setRadius(now.radius);
  }

  function marks(found) {
    var pane = map.createPane("buildings"), canvas = L.canvas({ pane: "buildings", tolerance: 10 });
    pane.style.zIndex = 450;
    var group = L.geoJSON(found, {
      pointToLayer: function (feature, at) {
        var mark = new Mark(at, Object.assign({ pane: "buildings", renderer: canvas }, look(feature.properties)));
        mark.on("click", function (event) { L.DomEvent.stopPropagation(event); open(mark, feature.properties); });
        return mark;
      }
    }).addTo(map);
    map.on("zoomend", function () { group.eachLayer(function (mark) { dress(mark, mark === marked); }); });
    key(found.features);
    holder.dataset.buildings = found.features.length;
    list(found.features);
  }

  function key(features) {
    var box = element("p", "dots-key");
    KINDS.forEach(function (kind) {
      if (!features.some(function (each) { return kindOf(each.properties.flags) === kind; })) return;
      var item = element("span");
      item.append(swatch(kind), kind.flag || "楼栋");
      box.append(item);
    });
    box.append(element("span", "", "空心：有未核对"));
    holder.parentNode.append(box);
  }

  function swatch(kind) {
    var made = element("canvas"), pen = made.getContext("2d");
    made.width = made.height = 36;
    made.className = "mark";
    pen.beginPath();
    SHAPES[kind.shape](pen, 18, 18, 10);
    pen.fillStyle = kind.colour;
    pen.fill();
    return made;
  }

  /* Marks on a canvas cannot be reached by key or read aloud: a list of the same buildings can. */
  function list(features) {
    var pick = document.getElementById("pick-building");
    features.map(function (each) { return each.properties; }).sort(function (one, other) {
      return one.address.length - other.address.length || (one.address < other.address ? -1 : 1);
    }).forEach(function (building) { pick.append(new Option(building.address.replace(urls.shared, ""), building.address)); });
    pick.closest("label").hidden = false;
    pick.addEventListener("change", function () {
      map.eachLayer(function (layer) {
        if (layer.feature && layer.feature.properties.address === pick.value) {
          open(layer, layer.feature.properties);
          map.setView(layer.getLatLng(), Math.max(map.getZoom(), 16), { animate: false }).panBy([0, sheet.offsetHeight / 2], { animate: false });
        }
      });
    });
  }

  // --- the sheet of a building: doors, no names

  function open(mark, building) {
    close();
    from = document.activeElement;
    marked = mark;
    dress(mark, true);
    sheet.querySelector("h2").textContent = building.address.replace(urls.shared, "");
    sheet.querySelector(".of").textContent = building.flags.concat(building.doors.length + " 户", building.to_do ? building.to_do + " 户未核对" : "全部核对").join(" · ");
    sheet.querySelector(".tell").href = urls.report + "?dwelling=" + building.doors[0].dwelling;
    var doors = sheet.querySelector(".doors");
    doors.replaceChildren.apply(doors, building.doors.map(door));
    sheet.hidden = false;
    sheet.querySelector("h2").focus({ preventScroll: true });
  }

  function door(each) {
    var line = element("li"), name = element("span", "door", each.door), visit = element("a", "button", "走访");
    visit.href = urls.visit + "?purpose=care&dwelling=" + each.dwelling + (each.home ? "&household=" + each.home : "");
    visit.setAttribute("aria-label", "走访 " + each.door);
    line.append(name, element("span", each.verified ? "chip did" : "chip soon", each.verified ? "✓ 已核对" : "未核对"));
    if (each.home) {
      var home = element("a", "button", "住户");
      home.href = urls.home.replace("0", each.home);
      home.setAttribute("aria-label", "住户 " + each.door);
      line.append(home);
    } else line.append(element("span", "of", "没有登记"));
    line.append(visit);
    return line;
  }

  function close() {
    if (marked) dress(marked, false);
    marked = null;
    if (sheet.hidden) return;
    sheet.hidden = true;
    if (from && from.isConnected) from.focus({ preventScroll: true });
  }

  // --- where the telephone is: WGS 84 from the browser, on a map in CGCS2000; they differ by less than it knows

  var shown = [];

  function locate() {
    var said = document.getElementById("located");
    said.hidden = false;
    said.textContent = "正在定位…";
    navigator.geolocation.getCurrentPosition(function (found) {
      var at = [found.coords.latitude, found.coords.longitude], error = Math.round(found.coords.accuracy), far = away(at);
      shown.forEach(function (each) { each.remove(); });
      shown = [
        L.circle(at, { radius: error, weight: 1, color: "#1d2b2e", fillOpacity: 0.08, interactive: false }),
        L.circleMarker(at, { radius: 10, weight: 2, color: "#fff", fillColor: "#1d2b2e", fillOpacity: 1, interactive: false }),
        L.circleMarker(at, { radius: 4, weight: 0, fillColor: "#fff", fillOpacity: 1, interactive: false })
      ];
      shown.forEach(function (each) { each.addTo(map); });
      said.textContent = far > FAR ? "您离本网格约 " + (far / 1000).toFixed(1) + " 公里，误差约 " + error + " 米" : "误差约 " + error + " 米";
      if (far <= FAR) map.setView(at, Math.max(map.getZoom(), 16)); else map.fitBounds(own().extend(at));
    }, function (error) {
      said.textContent = error.code === 1 ? "没有允许定位，请在浏览器设置里允许。" : "没有定到位置，到开阔处再试。";
    }, { enableHighAccuracy: true, timeout: 15000, maximumAge: 0 });
  }

  function own() { var edges = urls.bounds.split(" ").map(Number); return L.latLngBounds([[edges[1], edges[0]], [edges[3], edges[2]]]); }

  function away(at) {
    var box = own(), near = L.latLng(Math.min(Math.max(at[0], box.getSouth()), box.getNorth()), Math.min(Math.max(at[1], box.getWest()), box.getEast()));
    return map.distance(at, near);
  }

  // --- beginning

  map.on("click", close);
  map.on("layeradd", function (event) { /* the grid itself says nothing here that its chief does not know */
    var shape = event.layer.feature && event.layer.feature.geometry;
    if (shape && shape.type !== "Point" && event.layer.unbindPopup) event.layer.unbindPopup().unbindTooltip();
  });
  sheet.querySelector("[data-shut]").addEventListener("click", close);
  document.addEventListener("keydown", function (event) { if (event.key === "Escape") close(); });
  if (navigator.geolocation && window.isSecureContext) {
    document.getElementById("locate").hidden = false;
    document.getElementById("locate").addEventListener("click", locate);
  }
  fetch(urls.buildings, { credentials: "same-origin" }).then(function (answer) {
    if (answer.redirected) { location.reload(); throw new Error("signed out"); }
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  }).then(marks).catch(function () { holder.parentNode.append(element("p", "dots-key", "楼栋没有取到，请刷新页面。")); });
})();
