/* The pieces of a map: colours, the hatching canvas, popups and the legend. Text goes in as text, never as HTML. */
(function () {
  "use strict";

  var MEASURES = {
    rate: { index: 2, title: "诉求率" },
    count: { index: 0, title: "诉求数" },
    gi: { index: 3, title: "热点等级" }
  };
  var GI = {
    "3": "热点，很有把握（99%）", "2": "热点，比较有把握（95%）", "1": "热点，有迹象（90%）", "0": "不显著",
    "-1": "偏少，有迹象（90%）", "-2": "偏少，比较有把握（95%）", "-3": "偏少，很有把握（99%）"
  };
  var styles = getComputedStyle(document.documentElement);

  function colour(name) { return styles.getPropertyValue("--" + name).trim(); }
  function giName(step) { return step < 0 ? "gi-m" + -step : "gi-" + step; }
  function small() { return window.matchMedia("(max-width: 900px)").matches; }

  function element(tag, className, text) {
    var made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function number(value, digits) {
    if (digits === undefined) digits = Math.abs(value) < 10 ? 2 : 1;
    return Number(value).toLocaleString("zh-CN", { maximumFractionDigits: digits });
  }

  /* Canvas, because an old office PC draws a thousand outlines faster so; it also hatches weak evidence. */
  var HatchCanvas = L.Canvas.extend({
    _fillStroke: function (context, layer) {
      L.Canvas.prototype._fillStroke.call(this, context, layer);
      if (!layer.options.hatched) return;
      context.globalAlpha = 0.55;
      context.fillStyle = this._hatch || (this._hatch = hatch(context));
      context.fill("evenodd");
      context.globalAlpha = 1;
    }
  });

  function hatch(context) {
    var tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    var pen = tile.getContext("2d");
    pen.strokeStyle = colour("hatch");
    pen.lineWidth = 0.7;
    pen.beginPath();
    [[-1, 1, 1, -1], [0, 6, 6, 0], [5, 7, 7, 5]].forEach(function (l) { pen.moveTo(l[0], l[1]); pen.lineTo(l[2], l[3]); });
    pen.stroke();
    return context.createPattern(tile, "repeat");
  }

  /* TopoJSON to GeoJSON: arcs are steps between whole numbers, ~n is arc n walked backwards. */
  function unpacked(topology) {
    var scale = topology.transform.scale, from = topology.transform.translate;
    var arcs = topology.arcs.map(function (steps) {
      var x = 0, y = 0;
      return steps.map(function (step) {
        x += step[0];
        y += step[1];
        return [x * scale[0] + from[0], y * scale[1] + from[1]];
      });
    });
    function ring(numbers) {
      var points = [];
      numbers.forEach(function (number) {
        var arc = number < 0 ? arcs[~number].slice().reverse() : arcs[number];
        points = points.concat(points.length ? arc.slice(1) : arc);
      });
      return points;
    }
    var features = topology.objects.areas.geometries.map(function (each) {
      var polygons = each.arcs.map(function (rings) { return rings.map(ring); });
      return { type: "Feature", properties: each.properties, geometry: { type: "MultiPolygon", coordinates: polygons } };
    });
    return { type: "FeatureCollection", features: features };
  }

  function classOf(value, limits) {
    if (!value) return 0;
    return 1 + limits.filter(function (limit) { return value >= limit; }).length;
  }

  function className(value, measure, breaks) {
    if (!value) return "rate-0";
    if (measure === "gi") return giName(value[3]);
    return "rate-" + classOf(value[MEASURES[measure].index], breaks[measure]);
  }

  function rows(pairs) {
    var list = element("dl");
    pairs.forEach(function (pair) {
      if (pair[1] === null || pair[1] === undefined || pair[1] === "") return;
      list.append(element("dt", "", pair[0]), element("dd", "", pair[1]));
    });
    return list;
  }

  function popup(properties, value, unit, judged) {
    var box = element("div", "popup"), known = Boolean(value), households = properties.households;
    box.append(element("h2", "", properties.name), element("div", "of", properties["in"]));
    box.append(rows([
      ["诉求", known ? number(value[0], 0) + " 件" : null],
      ["按全市水平应有", known && value[1] !== null ? number(value[1], 1) + " 件" : null],
      ["诉求率", known ? (value[2] === null ? "不足 5 户，不计率" : number(value[2]) + " " + unit) : null],
      ["热点判断", known && judged ? GI[value[3]] : null],
      ["依据", known && value[4] ? "偏弱：应有不足 3 件，多一两件就会变色" : null],
      ["户数", households === null ? null : (typeof households === "number" ? number(households, 0) : households) + " 户"],
      ["网格长", properties.chief],
      ["代码", properties.code]
    ]));
    return box;
  }

  function tooltip(properties, value, measure, unit) {
    var box = element("span", "", properties.name);
    if (value && measure === "gi") box.append("：" + GI[value[3]]);
    else if (value && value[MEASURES[measure].index] !== null) {
      box.append("：" + number(value[MEASURES[measure].index]) + " " + (measure === "rate" ? unit : "件"));
    }
    return box;
  }

  function legend() {
    var control = L.control({ position: "bottomright" });
    control.onAdd = function () {
      var box = element("details", "legend");
      box.id = "legend";
      box.open = !small();
      L.DomEvent.disableClickPropagation(box);
      return box;
    };
    return control;
  }

  function legendRow(swatch, text) {
    var line = element("div", "legend-row");
    line.append(element("i", "swatch " + swatch), text);
    return line;
  }

  function explain(measure, values) {
    var box = document.getElementById("legend");
    if (!box) return;
    var title = element("summary", "", MEASURES[measure].title), made = [title];
    if (measure === "gi") {
      [3, 2, 1, 0, -1, -2, -3].forEach(function (step) {
        made.push(legendRow(giName(step), step ? (step > 0 ? "偏多 " : "偏少 ") + [90, 95, 99][Math.abs(step) - 1] + "%" : "不显著"));
      });
      made.push(element("span", "of", "连同周边一起看，已校正多次检验"));
    } else {
      var limits = values.breaks[measure] || [];
      title.append(element("small", "", measure === "rate" ? values.unit : "件"));
      for (var step = limits.length; step >= 0; step--) made.push(legendRow("rate-" + (step + 1), between(limits, step)));
      made.push(legendRow("rate-0", "没有诉求"), legendRow("weak", "依据偏弱"));
    }
    box.replaceChildren.apply(box, made);
  }

  function between(limits, step) {
    if (!limits.length) return "有诉求";
    if (step === 0) return "不到 " + number(limits[0], 3);
    if (step === limits.length) return number(limits[step - 1], 3) + " 以上";
    return number(limits[step - 1], 3) + " — " + number(limits[step], 3);
  }

  function failed() {
    var box = document.getElementById("legend");
    if (!box) return;
    box.open = true;
    box.replaceChildren(element("summary", "", "地图数据没有取到"), element("span", "of", "请刷新页面；若一直如此，请告诉管理员。"));
  }

  window.gridmgmtParts = {
    HatchCanvas: HatchCanvas, className: className, colour: colour, element: element, explain: explain, failed: failed,
    legend: legend, popup: popup, small: small, tooltip: tooltip, unpacked: unpacked
  };
})();
