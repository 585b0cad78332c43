/* The pieces of a map: colours, the hatching canvas, popups and the legend. Text goes in as text, never as HTML. */
(function () {
  "use strict";

  var GI = {
    "3": "热点，很有把握（99%）", "2": "热点，比较有把握（95%）", "1": "热点，有迹象（90%）", "0": "不显著",
    "-1": "偏少，有迹象（90%）", "-2": "偏少，比较有把握（95%）", "-3": "偏少，很有把握（99%）"
  };
  var styles = getComputedStyle(document.documentElement);

  function colour(name) { return styles.getPropertyValue("--" + name).trim(); }
  function giName(step) { return step < 0 ? "gi-m" + -step : "gi-" + step; }
  /* Whether an area's card opens beside the map (map-desk.js) instead of a popup in it. */
  function hasCard() { return Boolean(document.getElementById("card")); }
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

  /* --- what an area shows, by measure. A scene is { measure, values, today, window }: what the server said of the
     period and of today, and the part of the period that is looked at, if any. */

  var PATTERNS = [
    ["new", "新增"], ["growing", "增强"], ["lasting", "持续"], ["seasonal", "每年回来"], ["now_and_then", "时有时无"],
    ["fading", "减弱"], ["cold", "偏少"]
  ];

  function measured(index) {
    return function (scene, code) { var found = scene.values.areas[code]; return found ? found[index] : undefined; };
  }

  var MEASURES = {
    rate: { title: "诉求率", unit: rateUnit, value: measured(2), limits: ofPeriod("rate"), none: "没有诉求", weak: true },
    count: { title: "诉求数", unit: pieces, value: measured(0), limits: ofPeriod("count"), none: "没有诉求", weak: true },
    smoothed: { title: "平滑率", unit: rateUnit, value: measured(5), limits: ofPeriod("smoothed"), none: "没有诉求", note: "户数越少，越向全市平均靠拢" },
    gi: { title: "热点等级", value: measured(3), classes: giClasses, note: "连同周边一起看，已校正多次检验" },
    pattern: { title: "热点演变", value: measured(6), classes: patternClasses },
    expected: {
      title: function (scene) { return scene.today.xun + "预计"; }, unit: pieces, none: "没有", note: "按时令清单，只含有时令的类别",
      value: function (scene, code) { return scene.today.expected[code]; }, limits: function (scene) { return scene.today.breaks.expected; },
      missing: function (scene) { return scene.today.listed ? "" : "下一旬还没有时令清单"; }
    },
    overdue: {
      title: "超期", unit: pieces, none: "没有超期", note: "此刻在办、过了时限的", whole: function (scene) { return scene.today.overdue; }
    },
    window: { title: "诉求数", unit: pieces, none: "没有诉求", whole: function (scene) { return scene.window.counts; } }
  };

  function pieces() { return "件"; }
  function rateUnit(scene) { return scene.values.unit; }
  function ofPeriod(measure) { return function (scene) { return scene.values.breaks[measure] || []; }; }
  function spec(scene) { return MEASURES[scene.window ? "window" : scene.measure] || MEASURES.rate; }
  function titleOf(scene) { var title = spec(scene).title; return typeof title === "function" ? title(scene) : title; }
  function ofToday(measure) { return measure === "expected" || measure === "overdue"; }

  function classOf(value, limits) {
    if (!value) return 0;
    return 1 + limits.filter(function (limit) { return value >= limit; }).length;
  }

  /* Whole numbers, mostly small: each its own class as long as there are five, else near the quintiles. */
  var SPREAD = [[], [4], [2, 4], [2, 3, 5], [2, 3, 4, 5], [1, 2, 3, 4, 5]];

  function wholeLimits(counts) {
    var known = counts.filter(function (count) { return count > 0; }).sort(function (a, b) { return a - b; }), cuts = [];
    var distinct = known.filter(function (count, k) { return k === 0 || count !== known[k - 1]; });
    if (distinct.length <= 5) return distinct.slice(1);
    for (var k = 1; k < 5; k++) {
      var cut = Math.ceil(known[Math.floor(known.length * k / 5)]);
      if (cut > known[0] && cut > (cuts[cuts.length - 1] || 0)) cuts.push(cut);
    }
    return cuts;
  }

  function limitsOf(scene) {
    var own = spec(scene);
    if (!own.whole) return own.limits(scene);
    if (scene.window) return scene.window.limits;
    if (!scene.limits) {
      var counts = own.whole(scene);
      scene.limits = wholeLimits(Object.keys(counts).map(function (code) { return counts[code]; }));
    }
    return scene.limits;
  }

  /* What an area is drawn as: the name of its colour, whether it is hatched, and in words. */
  function reading(scene, code) {
    var own = spec(scene), known = scene.values.areas[code], value;
    if (own.classes) {
      value = own.value(scene, code);
      if (value === undefined) return { look: "rate-0", words: "" };
      return { look: own === MEASURES.gi ? giName(value) : value ? "pattern-" + value : "rate-0", words: own === MEASURES.gi ? GI[value] : patternName(value) };
    }
    value = own.whole ? own.whole(scene)[code] || 0 : own.value(scene, code);
    if (value === undefined) return { look: "rate-0", words: "" };
    if (value === null) return { look: "rate-0", hatched: true, words: "不足 5 户，不显示" };
    var limits = limitsOf(scene), step = classOf(value, limits);
    if (own.whole && step) step = SPREAD[limits.length + 1][step - 1];
    return { look: "rate-" + step, hatched: Boolean(own.weak && known && known[4]), words: number(value) + " " + own.unit(scene) };
  }

  function patternName(look) {
    var found = PATTERNS.filter(function (each) { return each[0] === look; })[0];
    return found ? found[1] : "没有明显走势";
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

  function tooltip(properties, scene) {
    var box = element("span", "", properties.name), words = reading(scene, properties.code).words;
    if (words) box.append("：" + words);
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

  function explain(scene) {
    var box = document.getElementById("legend");
    if (!box) return;
    var own = spec(scene), missing = own.missing && !scene.window ? own.missing(scene) : "";
    var title = element("summary", "", titleOf(scene)), made = [title];
    if (own.unit) title.append(element("small", "", own.unit(scene)));
    if (scene.window) made.push(element("span", "of", scene.window.name));
    if (missing) made.push(element("span", "of", missing));
    else made = made.concat(own.classes ? own.classes(scene) : numberClasses(own, scene));
    if (own.note && !missing) made.push(element("span", "of", own.note));
    box.replaceChildren.apply(box, made);
  }

  function numberClasses(own, scene) {
    var limits = limitsOf(scene), made = [], spread = own.whole ? SPREAD[limits.length + 1] : [1, 2, 3, 4, 5];
    for (var step = limits.length; step >= 0; step--) made.push(legendRow("rate-" + spread[step], own.whole ? wholeBetween(limits, step) : between(limits, step)));
    made.push(legendRow("rate-0", own.none));
    if (own.weak) made.push(legendRow("weak", "依据偏弱"));
    return made;
  }

  function giClasses() {
    return [3, 2, 1, 0, -1, -2, -3].map(function (step) {
      return legendRow(giName(step), step ? (step > 0 ? "偏多 " : "偏少 ") + [90, 95, 99][Math.abs(step) - 1] + "%" : "不显著");
    });
  }

  function patternClasses(scene) {
    var areas = scene.values.areas, seen = {};
    Object.keys(areas).forEach(function (code) { if (areas[code][6]) seen[areas[code][6]] = true; });
    var made = PATTERNS.map(function (each) { return legendRow("pattern-" + each[0], each[1] + (seen[each[0]] ? "" : "（无）")); });
    made.push(legendRow("rate-0", "没有明显走势"));
    if (!Object.keys(seen).length) made.push(element("span", "of", "要有 24 个月以上才看得出走势：请选多年的期间，或换一个类别"));
    return made;
  }

  function wholeBetween(limits, step) {
    if (!limits.length) return "有";
    if (step === limits.length) return number(limits[step - 1], 0) + " 以上";
    var low = step ? limits[step - 1] : 1, high = limits[step] - 1;
    return low >= high ? number(high, 0) : number(low, 0) + " — " + number(high, 0);
  }

  function between(limits, step) {
    if (!limits.length) return "有诉求";
    if (step === 0) return "不到 " + number(limits[0], 3);
    if (step === limits.length) return number(limits[step - 1], 3) + " 以上";
    return number(limits[step - 1], 3) + " — " + number(limits[step], 3);
  }

  /* `again` is what the button does; without it the page must be loaded anew. */
  function failed(again) {
    var box = document.getElementById("legend");
    if (!box) return;
    var button = element("button", "", "再取一次");
    button.type = "button";
    button.addEventListener("click", again || function () { location.reload(); });
    box.open = true;
    box.replaceChildren(element("summary", "", "地图数据没有取到"), element("span", "of", "请检查网络；若一直如此，请告诉管理员。"), button);
  }

  window.gridmgmtParts = {
    HatchCanvas: HatchCanvas, colour: colour, element: element, explain: explain, failed: failed, hasCard: hasCard, legend: legend, number: number,
    ofToday: ofToday, popup: popup, reading: reading, small: small, titleOf: titleOf, tooltip: tooltip, unpacked: unpacked,
    wholeLimits: wholeLimits
  };
})();
