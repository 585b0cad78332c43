/* Drawing a plan: Geoman draws the line, the server cuts, and what it answers is what the map shows. */
(function () {
  "use strict";

  var root = document.querySelector("[data-plan]"), panel = window.planPanel, base = window.planMap;
  if (!root || !base || !base.map) return;
  var map = base.map, element = gridmgmtParts.element, by = panel.by, ask = panel.ask;
  var api = root.dataset.api, mayEdit = root.dataset.mayEdit === "yes", me = root.dataset.me;
  var tool = "select", way = "", picked = [], target = null, busy = false, state = { version: null, edits: [], comments: [] };
  var figures = {}, touched = [], found = [], handles = null, houses = null, drawn = null, refused = "", coming = 0;

  /* A second canvas over that of the grids would take their clicks: what is drawn besides is SVG. */
  map.options.renderer = L.svg({ padding: 0.2 });
  L.PM.setOptIn(true);
  map.pm.setLang("zh");
  map.pm.setGlobalOptions({ snapDistance: 14, allowSelfIntersection: true, tooltips: false, finishOn: "dblclick", pathOptions: { pmIgnore: true },
    templineStyle: { color: gridmgmtParts.colour("ink"), weight: 2 }, hintlineStyle: { color: gridmgmtParts.colour("ink"), weight: 2, dashArray: "5 5" } });

  /* --- the server */

  function send(path, body) {
    return fetch(api + path, {
      method: "POST", credentials: "same-origin", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": root.dataset.csrf }
    }).then(function (answer) {
      if (answer.status === 401 || answer.redirected) { location.reload(); throw new Error("signed out"); }
      var json = (answer.headers.get("Content-Type") || "").indexOf("json") > 0;
      return (json ? answer.json() : Promise.resolve({ error: "没有办成，请刷新后再试。" })).then(function (said) { return { status: answer.status, said: said }; });
    });
  }

  /* One step at a time: a second one would be about a version that the first has made old. */
  function step(path, body, again) {
    if (busy) return Promise.resolve(null);
    working(true);
    return send(path, Object.assign({ version: state.version }, body)).then(function (answer) {
      working(false);
      if (answer.status === 200) {
        if (ONCE[tool]) settle("select"); /* what was cut is done; edges and blocks come in rows */
        apply(answer.said);
        return answer.said;
      }
      if (answer.status === 409) { conflict(answer.said, again || function () { return step(path, body); }); return null; }
      refused = answer.said.error;
      return null;
    }).catch(function (error) {
      working(false);
      refused = "没有连上服务器，这一步没有保存。";
      throw error;
    }).finally(begin);
  }

  function edit(operation, given) { return step("/edit", { operation: operation, arguments: given }); }

  function working(now) {
    busy = now;
    root.toggleAttribute("aria-busy", now);
    if (now) { refused = ""; tell("正在计算…"); }
  }

  function apply(done) {
    state.version = done.version;
    base.replace(done.changed);
    done.gone.forEach(function (key) { base.remove(key); delete figures[key]; });
    done.changed.forEach(function (feature) {
      var own = feature.properties;
      if (own.figures) figures[own.key] = own.figures;
      touched = touched.filter(function (key) { return key !== own.key; });
      if (own.status !== "same") touched.unshift(own.key);
    });
    done.figures.forEach(function (each) { figures[each.key] = each; });
    touched = touched.filter(function (key) { return base.own(key); });
    found = merged(done);
    picked = picked.filter(function (key) { return base.own(key); });
    var fresh = done.changed.filter(function (feature) { return feature.properties.status === "new"; });
    if (!picked.length && done.changed.length) picked = [(fresh[0] || done.changed[0]).properties.key];
    if (!base.own(target)) target = null;
    show();
    refreshLog();
  }

  /* An edit tells what is broken near it; what was broken elsewhere still is. */
  function merged(done) {
    var near = new Set(done.gone), said = new Set(done.findings.map(function (each) { return each.text; }));
    done.changed.forEach(function (feature) { near.add(feature.properties.key).add(feature.properties.village); });
    var kept = found.filter(function (each) { return !near.has(each.key) && !near.has(each.other) && !said.has(each.text); });
    return done.findings.concat(kept).sort(function (a, b) { return (a.severity === "error" ? 0 : 1) - (b.severity === "error" ? 0 : 1); });
  }

  function refreshLog() {
    return base.fetched(api + "/log").then(function (now) { heard(now); }).catch(function () { /* the next look tells */ });
  }

  function heard(now) {
    var others = now.version !== state.version;
    state.edits = now.edits;
    state.comments = now.comments;
    state.status = now.status;
    state.locked = now.locked_by;
    by("version").textContent = "第 " + state.version + " 版";
    by("status").textContent = now.status_name;
    panel.log(now.edits, now.comments);
    tellOthers(others ? now : null);
    enable();
  }

  function tellOthers(now) {
    var box = by("others");
    box.replaceChildren();
    if (state.locked && state.locked !== me) box.append(element("b", "chip soon", state.locked + " 锁定了这个方案"));
    else if (state.locked) box.append(element("b", "chip", "您锁定了这个方案"));
    if (!now) return;
    var last = now.edits[now.edits.length - 1], button = element("button", "", "载入");
    button.type = "button";
    button.addEventListener("click", load);
    box.append(element("b", "chip soon", (last ? last.by + " " + panel.when(last.at) + "：" + last.what + last.where : "别人改了这个方案")), " ", button);
  }

  function conflict(now, again) {
    var fresh = now.version === undefined ? [] : now.edits.slice(Math.max(0, now.edits.length - Math.max(0, now.version - state.version)));
    if (now.version === undefined || now.version === state.version) { refused = now.error; if (now.version !== undefined) heard(now); return; }
    var theirs = [].concat.apply([], fresh.map(function (each) { return each.keys; }));
    base.mark("theirs", theirs);
    var list = element("ul", "log");
    fresh.forEach(function (each) { list.append(element("li", "", each.by + " " + panel.when(each.at) + "：" + each.what + " " + each.where)); });
    ask("您画的时候，别人改了这个方案", [
      element("p", "", "您这一步还没有保存。别人改的网格在地图上用褐色粗线标出："), list
    ], [["again", "载入最新，再做我这一步"], ["reload", "载入最新，放弃我这一步"], ["", "先不动"]]).then(function (answer) {
      if (!answer) { heard(now); return; }
      load().then(function () { if (answer.button === "again") again(); });
    });
  }

  function load() {
    return Promise.all([base.load(api + "/grids.topojson"), base.fetched(api + "/state")]).then(function (both) {
      var now = both[1];
      state.version = now.version;
      figures = {};
      now.figures.forEach(function (each) { figures[each.key] = each; });
      touched = now.touched;
      found = now.findings;
      picked = picked.filter(function (key) { return base.own(key); });
      base.mark("theirs", []);
      fillSearch();
      heard(now);
      show();
    });
  }

  /* --- what is shown */

  function show() {
    base.mark("picked", picked);
    var keys = picked.filter(function (key) { return touched.indexOf(key) < 0; }).concat(touched);
    panel.grids(keys.filter(base.own).map(function (key) { return { own: base.own(key), figures: figures[key] }; }), picked);
    var together = { households: picked.reduce(function (sum, key) { var n = figures[key] && figures[key].households; return sum + (typeof n === "number" ? n : 0); }, 0) };
    panel.card(picked.length ? base.own(picked[0]) : null, picked.length === 1 ? figures[picked[0]] : together, picked.length, mayEdit);
    panel.findings(found);
    by("version").textContent = "第 " + state.version + " 版";
    enable();
  }

  function enable() {
    var held = state.locked && state.locked !== me;
    document.querySelectorAll("[data-tool]").forEach(function (button) { button.disabled = Boolean(held && button.dataset.tool !== "select"); });
    setDisabled("undo", held || !state.edits.some(function (each) { return !each.undone; }));
    setDisabled("redo", held || !state.edits.some(function (each) { return each.undone; }));
    setDisabled("publish", held);
    document.querySelectorAll('[data-act="lock"]').forEach(function (button) { button.textContent = state.locked === me ? "解除锁定" : "锁定，不让别人改"; });
  }

  function setDisabled(act, is) { document.querySelectorAll('[data-act="' + act + '"]').forEach(function (button) { button.disabled = Boolean(is); }); }

  /* What the tool wants now; what was refused stands before it until the next step. */
  function tell(words, buttons) {
    var box = by("hint"), made = [element("span", "", words || "")];
    if (refused) made.unshift(Object.assign(element("b", "refused", refused), { role: "alert" }));
    (buttons || []).forEach(function (pair) {
      var button = element("button", pair[2] ? "primary" : "", pair[0]);
      button.type = "button";
      if (pair[3] !== undefined) button.setAttribute("aria-pressed", String(pair[3]));
      button.addEventListener("click", pair[1]);
      made.push(button);
    });
    box.replaceChildren.apply(box, made);
    box.hidden = !words && !refused;
  }

  function refuse(words) {
    refused = words;
    begin();
  }

  /* Exact shape and figures of what is picked; others come rounded to a centimetre and without figures. */
  function fetchExact(keys) {
    var missing = keys.filter(function (key) { return !figures[key]; });
    if (!missing.length) return Promise.resolve();
    coming += 1;
    return base.fetched(api + "/grids.geojson?keys=" + missing.map(encodeURIComponent).join(",")).then(function (got) {
      base.replace(got.features);
      got.features.forEach(function (feature) { figures[feature.properties.key] = feature.properties.figures; });
      show();
    }).finally(function () { coming -= 1; });
  }

  function beginExact(keys) {
    fetchExact(keys).catch(function () { refused = "没有取到网格的边界，请再点选一次。"; }).then(begin);
  }

  /* --- picking */

  var SEVERAL = { merge: true, edge: true };

  function pick(key, original) {
    if (map.pm.globalDrawModeEnabled() || busy) return;
    refused = "";
    if (tool === "reassign" && way !== "target") { if (!target) setTarget(key); return; }
    var add = SEVERAL[tool] || (original && (original.ctrlKey || original.metaKey || original.shiftKey));
    if (!add) picked = [key];
    else if (picked.indexOf(key) >= 0) picked = picked.filter(function (each) { return each !== key; });
    else picked = picked.concat(key).slice(tool === "edge" ? -2 : 0);
    show();
    beginExact(picked);
  }

  function setTarget(key) {
    target = key;
    picked = [key];
    show();
    beginExact([key]);
  }

  /* --- tools */

  var ONCE = { split: true, merge: true, draw: true };

  function settle(name) {
    tool = name;
    way = { edge: "line", reassign: "block" }[name] || "";
    if (name === "reassign") target = picked.length === 1 ? picked[0] : null;
    document.querySelectorAll("[data-tool]").forEach(function (button) { button.setAttribute("aria-pressed", String(button.dataset.tool === name)); });
  }

  function choose(name) {
    if (!mayEdit && name !== "select") return;
    refused = "";
    settle(name);
    begin();
  }

  function stop() {
    map.pm.disableDraw();
    if (handles) { handles.remove(); handles = null; }
    if (houses) { houses.remove(); houses = null; }
    if (drawn) { drawn.remove(); drawn = null; }
  }

  /* A line begun before the exact shape is there would lose its corners when it comes. */
  function begin() {
    stop();
    if (coming && tool !== "select") tell("正在取边界…");
    else BEGIN[tool]();
  }

  function draw(shape) { map.pm.enableDraw(shape, { snappable: true, continueDrawing: false }); }

  function nameOf(key) { var own = base.own(key); return own ? own.name || own.key : ""; }

  var BEGIN = {
    select: function () { tell(picked.length ? "" : mayEdit ? "点选网格；按住 Ctrl 再点，可选多个。" : "点选网格，看它的数字。"); },
    split: function () {
      if (picked.length !== 1) { tell("先点选要分割的网格。"); return; }
      tell("从“" + nameOf(picked[0]) + "”外面起，画一条线穿过它；双击结束。", [["均分成几块", panel.actions.evenly]]);
      snapTo(picked);
      draw("Line");
    },
    merge: function () {
      if (picked.length < 2) { tell(picked.length ? "再点选要并入的相邻网格。" : "依次点选要合并的网格。"); return; }
      tell("已选 " + picked.length + " 个。", [["合并", panel.actions.merge, true]]);
    },
    edge: function () {
      var ways = [["画新边界", function () { way = "line"; begin(); }, false, way === "line"], ["拖顶点", function () { way = "vertex"; begin(); }, false, way === "vertex"]];
      if (way === "vertex") {
        if (!picked.length) { tell("点选一个网格，它的顶点就可以拖动。", ways); return; }
        tell("拖动顶点，相邻网格一同改变。", ways);
        vertices(picked[picked.length - 1]);
        return;
      }
      if (picked.length < 2) { tell(picked.length ? "再点选边界另一侧的网格。" : "点选边界两侧的两个网格。", ways); return; }
      tell("画出“" + nameOf(picked[0]) + "”与“" + nameOf(picked[1]) + "”之间的新边界，两端落在原边界上；双击结束。", ways);
      snapTo(picked);
      draw("Line");
    },
    reassign: function () {
      if (!target) { tell("先点选要划入的网格。"); return; }
      var ways = [["圈地块", function () { way = "block"; begin(); }, false, way === "block"], ["点楼栋", function () { way = "building"; begin(); }, false, way === "building"],
        ["换一个网格", function () { target = null; begin(); }]];
      if (way === "building") { buildings(ways); return; }
      tell("圈出要划入“" + nameOf(target) + "”的地块；双击结束。", ways);
      snapTo(picked);
      draw("Polygon");
    },
    draw: function () {
      tell("画出新网格的边界，盖住的地方归它；双击结束。");
      snapTo(picked);
      draw("Polygon");
    }
  };

  /* Geoman looks at the vertices of what it may snap to at each move: the picked grids, not a thousand. */
  function snapTo(keys) {
    drawn = L.geoJSON(keys.filter(base.own).map(function (key) { return base.shapes()[key].feature; }), {
      pmIgnore: true, snapIgnore: false, interactive: false, style: { fill: false, weight: 0, opacity: 0 }
    }).addTo(map);
  }

  map.on("pm:create", function (event) {
    var points = event.layer.getLatLngs(), shape = event.layer.toGeoJSON(9).geometry;
    event.layer.remove();
    if (event.shape === "Line" && points.length < 2) { begin(); return; }
    if (event.shape === "Polygon" && points[0].length < 3) { begin(); return; }
    DRAWN[tool](shape);
  });

  map.on("pm:drawend", function () { if (drawn) { drawn.remove(); drawn = null; } });

  var DRAWN = {
    split: function (shape) { var key = picked[0]; picked = []; edit("split", { key: key, line: shape.coordinates }).then(function (done) { if (!done) picked = [key]; show(); }); },
    edge: function (shape) { edit("move_edge", { keys: picked.slice(0, 2), line: shape.coordinates }); },
    reassign: function (shape) { edit("reassign", { block: shape, to: target }); },
    draw: function (shape) {
      ask("新网格", [
        panel.field("名称", panel.input("text", "", { maxLength: 60 }), "name"),
        panel.field("村社区", panel.picker("villages", picked.length ? base.own(picked[0]).village : ""), "village"),
        panel.field("类型", panel.picker("kinds", "base"), "kind")
      ], [["ok", "加入方案"], ["", "不要了"]]).then(function (answer) {
        if (!answer) { begin(); return; }
        picked = [];
        edit("draw", { shape: shape, name: answer.name, village: answer.village, kind: answer.kind });
      });
    },
    select: function () {}, merge: function () {}
  };

  /* --- vertices: Geoman's handles on an unseen copy of the picked grid */

  function vertices(key) {
    fetchExact([key]).then(function () {
      if (tool !== "edge" || way !== "vertex" || !base.own(key)) return;
      if (handles) handles.remove();
      handles = L.geoJSON(base.shapes()[key].feature, { pmIgnore: false, snapIgnore: true, interactive: false, style: { color: gridmgmtParts.colour("ink"), weight: 2, fill: false } }).addTo(map);
      handles.eachLayer(function (layer) {
        var from = null;
        layer.pm.enable({ hideMiddleMarkers: true, preventMarkerRemoval: true, snappable: false, allowSelfIntersection: true, draggable: false });
        layer.on("pm:markerdragstart", function (event) { from = event.markerEvent.target.getLatLng(); });
        layer.on("pm:markerdragend", function (event) {
          var to = event.markerEvent.target.getLatLng();
          if (from) edit("move_vertex", { at: [from.lng, from.lat], to: [to.lng, to.lat] });
          from = null;
        });
      });
    });
  }

  /* --- buildings: points with numbers of households, no more */

  function buildings(ways) {
    if (map.getZoom() < 15) { tell("放大地图（到 200 米左右的比例），楼栋就会出现。", ways.concat([["放大到网格", function () { base.zoomTo([target]); }]])); return; }
    tell("点一栋楼，把它所在的地块划入“" + nameOf(target) + "”。", ways);
    var box = map.getBounds();
    base.fetched(api + "/buildings.geojson?box=" + [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()].join(",")).then(function (got) {
      if (tool !== "reassign" || way !== "building") return;
      if (houses) houses.remove();
      houses = L.geoJSON(got, {
        pmIgnore: true, snapIgnore: true,
        pointToLayer: function (feature, at) {
          var dot = L.circleMarker(at, { renderer: base.canvas(), radius: 6, color: "#fff", weight: 1, fillColor: gridmgmtParts.colour("accent"), fillOpacity: 0.9, pmIgnore: true, snapIgnore: true });
          dot.bindTooltip(base.count(feature.properties.households) + " 户");
          dot.on("click", function (event) { L.DomEvent.stop(event); edit("reassign", { building: feature.properties.id, to: target }); });
          return dot;
        }
      }).addTo(map);
    }).catch(function () { tell("楼栋没有取到，请再试。", ways); });
  }
  map.on("moveend", function () { if (tool === "reassign" && way === "building" && target && !busy) begin(); });

  /* --- what buttons do */

  Object.assign(panel.actions, {
    show: function (key) { picked = [key]; base.zoomTo([key]); show(); beginExact([key]); },
    locate: function (at, keys) {
      map.setView([at[1], at[0]], Math.max(map.getZoom(), 16));
      L.circleMarker([at[1], at[0]], { radius: 14, color: gridmgmtParts.colour("danger"), weight: 3, fill: false, interactive: false, pmIgnore: true, snapIgnore: true }).addTo(marks.clearLayers());
      picked = keys.filter(base.own);
      show();
      beginExact(picked);
    },
    merge: function () {
      if (picked.length < 2) return;
      var keys = picked;
      picked = [];
      edit("merge", { keys: keys }).then(function (done) { if (!done) { picked = keys; show(); } });
    },
    rename: function () {
      var key = picked[0];
      ask("给“" + nameOf(key) + "”改名", [panel.field("新名称", panel.input("text", base.own(key).name, { maxLength: 60 }), "name")], [["ok", "改名"], ["", "不改了"]])
        .then(function (answer) { if (answer) edit("rename", { key: key, name: answer.name }); });
    },
    kind: function () {
      var own = base.own(picked[0]);
      ask("“" + nameOf(own.key) + "”的类型", [
        panel.field("类型", panel.picker("kinds", own.kind), "kind"), panel.field("用途（专属网格填写）", panel.input("text", own.purpose || "", { required: false, maxLength: 60 }), "purpose")
      ], [["ok", "改类型"], ["", "不改了"]]).then(function (answer) { if (answer) edit("set_kind", { key: own.key, kind: answer.kind, purpose: answer.purpose || null }); });
    },
    evenly: function () {
      var key = picked[0], known = figures[key] && figures[key].households, band = JSON.parse(root.dataset.band);
      var parts = typeof known === "number" ? Math.max(2, Math.round(known / ((band[0] + band[1]) / 2))) : 2;
      ask("把“" + nameOf(key) + "”按户数均分", [panel.field("分成几块", panel.input("number", parts, { min: 2, max: 20, step: 1 }), "parts")], [["ok", "均分"], ["", "不分了"]])
        .then(function (answer) { if (answer) { picked = []; edit("split_evenly", { key: key, parts: Number(answer.parts) }); } });
    },
    propose: function () {
      var own = base.own(picked[0]), band = JSON.parse(root.dataset.band);
      ask("自动划分", [
        element("p", "", "按 " + band[0] + "—" + band[1] + " 户划成连续、紧凑的网格，尽量沿道路河流。划完可以撤销。"),
        panel.field("范围", Object.assign(document.createElement("select"), { innerText: "" }), "what"),
        panel.field("最少户数", panel.input("number", band[0], { min: 1, max: 5000 }), "low"), panel.field("最多户数", panel.input("number", band[1], { min: 2, max: 5000 }), "high")
      ], [["ok", "开始划分"], ["", "不划了"]]).then(function (answer) {
        if (!answer) return;
        var limits = { low: Number(answer.low), high: Number(answer.high) };
        picked = [];
        edit("propose", Object.assign(answer.what === "village" ? { area: own.village } : { keys: [own.key] }, limits));
      });
      var scope = document.querySelector('#dialog select[name="what"]');
      scope.append(new Option("只这个网格", "grid"), new Option("整个村社区", "village"));
    }
  });
  var marks = L.layerGroup().addTo(map);

  var ACTS = {
    undo: function () { step("/undo", {}); },
    redo: function () { step("/redo", {}); },
    check: function () {
      tell("正在检查整个方案…");
      base.fetched(api + "/state").then(function (now) { found = now.findings; panel.findings(found); tell("检查完了：" + by("findings-count").textContent + "。"); document.querySelector(".findings details").open = true; });
    },
    rebase: function () {
      step("/rebase", {}).then(function (done) {
        if (!done) return;
        load().then(function () { tell(done.conflicts ? "已跟上现行网格；有 " + done.conflicts + " 步与新的现行网格不合，没有重做，见“记录”。" : "已跟上现行网格，每一步都重做了。"); });
      });
    },
    repair: function () { edit("repair", {}); },
    lock: function () { change(state.locked === me ? "/unlock" : "/lock", {}); },
    retire: function () {
      ask("放弃这个方案", [element("p", "", "方案不再能改，仍可查看和导出。")], [["ok", "放弃方案"], ["", "留着"]]).then(function (answer) { if (answer) change("/retire", {}, true); });
    },
    unpublish: function () {
      ask("撤回发布", [element("p", "", "启用日期还没有到，撤回后方案又是草稿。")], [["ok", "撤回发布"], ["", "不撤回"]]).then(function (answer) { if (answer) change("/unpublish", {}, true); });
    },
    publish: function () {
      var errors = found.filter(function (each) { return each.severity === "error"; }).length;
      if (errors) { refuse("还有 " + errors + " 项必须改，改好才能发布。"); document.querySelector(".findings details").open = true; return; }
      if (!touched.length) { refuse("方案没有改动，不用发布。"); return; }
      var today = new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 10);
      var why = Object.assign(document.createElement("textarea"), { rows: 4, maxLength: 2000, required: true });
      ask("发布“" + document.querySelector(".plan-bar h1").textContent + "”", [
        element("p", "", "从启用之日起，旧网格停用、新网格启用，户、未结诉求、任务和人员随边界归到新网格。日期未到可以撤回。"),
        panel.field("启用日期", panel.input("date", today, { min: today }), "on"), panel.field("为什么这样调整（公开留存）", why, "explanation")
      ], [["ok", "发布"], ["", "还不发布"]]).then(function (answer) { if (answer) change("/publish", { on: answer.on, explanation: answer.explanation }, true); });
    }
  };

  /* Changes of the plan as a whole; with `anew` the page is another one afterwards. */
  function change(path, body, anew) {
    working(true);
    return send(path, body).then(function (answer) {
      working(false);
      if (answer.status !== 200) { refuse(answer.said.error); return; }
      if (anew) location.reload();
      else { heard(answer.said); begin(); }
    });
  }

  document.querySelectorAll("[data-tool]").forEach(function (button) { button.addEventListener("click", function () { choose(button.dataset.tool); }); });
  document.querySelectorAll("[data-act]").forEach(function (button) {
    button.addEventListener("click", function () {
      var menu = button.closest("details.menu");
      if (menu) menu.open = false;
      ACTS[button.dataset.act]();
    });
  });
  if (by("comment")) by("comment").addEventListener("submit", function (event) {
    event.preventDefault();
    var form = event.target, middle = map.getCenter();
    change("/comment", { text: form.text.value, at: form.here.checked ? [middle.lng, middle.lat] : null }).then(function () { form.reset(); });
  });

  /* --- keys */

  document.addEventListener("keydown", function (event) {
    if (by("dialog").open) return;
    var writing = event.target.matches("input, select, textarea"), command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
    if (writing) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.key === "Escape") { document.querySelectorAll("details.menu[open]").forEach(function (menu) { menu.open = false; }); marks.clearLayers(); if (tool === "select") picked = []; show(); choose("select"); return; }
    if (event.key === "/") { event.preventDefault(); by("q").focus(); return; }
    if (!mayEdit) return;
    if (command && key === "z" && !event.shiftKey) { event.preventDefault(); ACTS.undo(); }
    else if (command && (key === "y" || (key === "z" && event.shiftKey))) { event.preventDefault(); ACTS.redo(); }
    else if (!command && !event.altKey && { s: 1, m: 1, e: 1 }[key]) { event.preventDefault(); choose({ s: "split", m: "merge", e: "edge" }[key]); }
    else if (event.key === "Enter" && tool === "merge" && picked.length > 1 && event.target === document.body) panel.actions.merge();
  });

  /* --- finding a grid by name or code */

  function fillSearch() {
    var shapes = base.shapes();
    by("found").replaceChildren.apply(by("found"), Object.keys(shapes).map(function (key) {
      var own = shapes[key].feature.properties, option = document.createElement("option");
      option.value = own.name || own.key;
      option.label = own.code || own.key;
      return option;
    }));
  }

  document.querySelector(".find").addEventListener("submit", function (event) { event.preventDefault(); find(); });
  by("q").addEventListener("change", find);

  function find() {
    var words = by("q").value.trim(), shapes = base.shapes();
    if (!words) return;
    var keys = Object.keys(shapes), own = function (key) { return shapes[key].feature.properties; };
    var hit = keys.find(function (key) { return own(key).name === words || own(key).code === words || key === words; }) || keys.find(function (key) { return (own(key).name || "").indexOf(words) >= 0; });
    by("q").blur(); /* the keys of the tools work again */
    if (hit) panel.actions.show(hit);
    else refuse("没有找到“" + words + "”。");
  }

  /* --- begin */

  new ResizeObserver(function () { map.invalidateSize({ pan: false }); }).observe(map.getContainer());
  base.begin({ band: JSON.parse(root.dataset.band), onPick: pick });
  var bounds = JSON.parse(root.dataset.bounds);
  if (bounds.length) map.fitBounds([[bounds[1], bounds[0]], [bounds[3], bounds[2]]]);
  load().then(function () {
    choose("select");
    if (root.dataset.focus && base.own(root.dataset.focus)) panel.actions.show(root.dataset.focus);
    else if (touched.length) base.zoomTo(touched);
  });
  setInterval(function () { if (!document.hidden && !busy && state.version !== null) refreshLog(); }, 15000);
})();
