/* What stands beside a plan's map: touched grids with their figures, findings, log, comments and dialogs. */
(function () {
  "use strict";

  var element = gridmgmtParts.element, SVG = "http://www.w3.org/2000/svg";
  var root = document.querySelector("[data-plan]");
  if (!root) return;
  var band = JSON.parse(root.dataset.band), actions = {};

  function by(id) { return document.getElementById(id); }
  function number(value, digits) { return value === null || value === undefined ? "—" : typeof value === "number" ? value.toLocaleString("zh-CN", { minimumFractionDigits: digits || 0, maximumFractionDigits: digits || 0 }) : value; }

  function svg(tag, values) {
    var made = document.createElementNS(SVG, tag);
    Object.keys(values).forEach(function (name) { made.setAttribute(name, values[name]); });
    return made;
  }

  /* Households on a scale of twice the band, the band shaded: the mark stands inside it or beside it. */
  function bar(households) {
    var most = band[1] * 2, made = svg("svg", { class: "band-bar", width: "100%", height: 8, "aria-hidden": "true" });
    function share(count) { return Math.min(100, 100 * count / most) + "%"; }
    made.append(svg("rect", { class: "ground", width: "100%", height: 8 }));
    made.append(svg("rect", { class: "band", x: share(band[0]), width: 100 * (band[1] - band[0]) / most + "%", height: 8 }));
    var count = typeof households === "number" ? households : 0;
    var side = count < band[0] ? "low" : count > band[1] ? "high" : "inside";
    made.append(svg("rect", { class: "value " + side, y: 2, width: share(count), height: 4 }));
    return made;
  }

  function deviation(figures) {
    if (figures.urban === false) return "农村不限";
    if (typeof figures.deviation !== "number") return "少得多";
    if (!figures.deviation) return "在范围内";
    return (figures.deviation > 0 ? "多 " : "少 ") + number(Math.abs(figures.deviation));
  }

  var COLUMNS = [
    ["人口", "persons", 0, "人"], ["诉求", "matters", 0, "件/年"], ["网格员", "workers", 0, "人"], ["面积", "hectares", 1, "公顷"], ["紧凑", "compactness", 2, "圆为 1"]
  ];

  function grids(rows, picked) {
    var box = by("grids");
    by("count-grids").textContent = rows.filter(function (row) { return row.own.status !== "same"; }).length;
    if (!rows.length) {
      box.replaceChildren(element("p", "empty", root.dataset.mayEdit ? "还没有改动。在地图上点一个网格，再选左边的工具。" : "这个方案还没有改动。"));
      return;
    }
    var table = element("table", "plan-grids"), head = element("tr");
    [["网格", ""], ["户数", "范围 " + band[0] + "—" + band[1]]].concat(COLUMNS.map(function (column) { return [column[0], column[3]]; })).forEach(function (pair, n) {
      var cell = element("th", n ? "number" : "", pair[0]);
      cell.scope = "col";
      cell.append(element("small", "", pair[1]));
      head.append(cell);
    });
    var top = element("thead"), body = element("tbody");
    top.append(head);
    rows.forEach(function (row) { body.append(line(row, picked.indexOf(row.own.key) >= 0)); });
    table.append(top, body);
    box.replaceChildren(table, total(rows));
  }

  function line(row, picked) {
    var made = element("tr", picked ? "current" : ""), name = element("th"), figures = row.figures || {};
    made.dataset.key = row.own.key;
    name.scope = "row";
    var button = element("button", "name", row.own.name || row.own.key);
    button.type = "button";
    button.title = "在地图上看";
    button.addEventListener("click", function () { actions.show(row.own.key); });
    name.append(button, element("small", row.own.status, row.own.status === "same" ? "" : row.own.status_name));
    var households = element("td", "number households");
    households.append(element("b", "", number(figures.households)), bar(figures.households), element("small", "", row.figures ? deviation(figures) : ""));
    made.append(name, households);
    COLUMNS.forEach(function (column) { made.append(element("td", "number", number(figures[column[1]], column[2]))); });
    return made;
  }

  function total(rows) {
    var sum = 0, few = false;
    rows.forEach(function (row) {
      var count = row.figures ? row.figures.households : null;
      if (typeof count === "number") sum += count;
      else few = true;
    });
    return element("p", "of total", "以上合计 " + number(sum) + " 户" + (few ? "，不足 5 户的未计" : ""));
  }

  /* --- the grid that is picked */

  function card(own, figures, several, mayEdit) {
    var box = by("card");
    box.hidden = !own;
    if (!own) return;
    var title = element("h2", "", several > 1 ? "选中 " + several + " 个网格" : own.name || own.key);
    var made = [title];
    if (several === 1) {
      var where = [own["in"], own.code || "新网格，发布时编码", own.kind_name];
      made.push(element("p", "of", where.filter(Boolean).join(" · ") + (own.purpose ? "（" + own.purpose + "）" : "")));
    } else if (figures) made.push(element("p", "of", "合起来 " + number(figures.households) + " 户"));
    if (mayEdit) {
      var row = element("p", "card-actions");
      (several === 1 ? [["rename", "改名"], ["kind", "改类型"], ["evenly", "均分"], ["propose", "自动划分"]] : [["merge", "合并选中的 " + several + " 个"]]).forEach(function (pair) {
        var button = element("button", "", pair[1]);
        button.type = "button";
        button.addEventListener("click", actions[pair[0]]);
        row.append(button);
      });
      made.push(row);
    }
    box.replaceChildren.apply(box, made);
  }

  /* --- findings */

  function findings(found) {
    var errors = found.filter(function (each) { return each.severity === "error"; }).length;
    var words = !found.length ? "没有发现问题，可以发布" : errors ? errors + " 项必须改" + (found.length > errors ? "，" + (found.length - errors) + " 项提醒" : "") : found.length + " 项提醒，不妨碍发布";
    by("findings-count").textContent = words;
    by("findings-count").className = "of" + (errors ? " bad" : "");
    by("findings").replaceChildren.apply(by("findings"), found.slice(0, 200).map(function (each) {
      var item = element("li", each.severity), button = element("button", "quiet", "定位");
      button.type = "button";
      button.addEventListener("click", function () { actions.locate(each.at, [each.key, each.other].filter(Boolean)); });
      item.append(element("span", "chip " + (each.severity === "error" ? "bad" : ""), each.name), element("span", "", each.text), button);
      return item;
    }));
  }

  /* --- log and comments */

  function when(at) {
    var minutes = Math.round((Date.now() - new Date(at)) / 60000);
    if (minutes < 1) return "刚刚";
    if (minutes < 60) return minutes + " 分钟前";
    if (minutes < 24 * 60) return Math.round(minutes / 60) + " 小时前";
    return new Date(at).toLocaleDateString("zh-CN", { year: "numeric", month: "long", day: "numeric" });
  }

  function signed(by_, at) {
    var time = element("time", "", when(at));
    time.dateTime = at;
    time.title = new Date(at).toLocaleString("zh-CN");
    var made = element("small", "", by_ + " · ");
    made.append(time);
    return made;
  }

  function log(edits, comments) {
    by("count-log").textContent = edits.length;
    by("count-comments").textContent = comments.length;
    fill("log", edits.slice().reverse(), "还没有改动。", function (each) {
      var item = element("li", each.undone ? "undone" : "");
      item.append(element("span", "rank", each.number), element("b", "", each.what), element("span", "", each.where + (each.undone ? "（已撤销）" : "")), signed(each.by, each.at));
      return item;
    });
    fill("comments", comments.slice().reverse(), "还没有批注。", function (each) {
      var item = element("li");
      item.append(element("p", "", each.text), signed(each.by, each.at));
      if (each.place) {
        var button = element("button", "quiet", "定位");
        button.type = "button";
        button.addEventListener("click", function () { actions.locate(each.place, []); });
        item.append(button);
      }
      return item;
    });
  }

  function fill(id, rows, nothing, made) {
    by(id).replaceChildren.apply(by(id), rows.length ? rows.map(made) : [element("li", "of", nothing)]);
  }

  /* --- tabs: one at a time, arrows move between them */

  var tabs = Array.from(document.querySelectorAll('[role="tab"]'));
  tabs.forEach(function (tab, n) {
    tab.addEventListener("click", function () { openTab(n); });
    tab.addEventListener("keydown", function (event) {
      var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) { openTab((n + step + tabs.length) % tabs.length); tabs[(n + step + tabs.length) % tabs.length].focus(); }
    });
  });

  function openTab(which) {
    tabs.forEach(function (tab, n) {
      tab.setAttribute("aria-selected", String(n === which));
      tab.tabIndex = n === which ? 0 : -1;
      by(tab.getAttribute("aria-controls")).hidden = n !== which;
    });
  }

  /* --- a question; resolves with the fields by name and the button, or null when it was put away */

  function ask(title, body, buttons) {
    var dialog = by("dialog");
    by("dialog-title").textContent = title;
    by("dialog-body").replaceChildren.apply(by("dialog-body"), body);
    by("dialog-buttons").replaceChildren.apply(by("dialog-buttons"), buttons.map(function (pair, n) {
      var button = element("button", n === 0 ? "primary" : "", pair[1]);
      button.value = pair[0];
      if (pair[0] === "") button.formNoValidate = true;
      return button;
    }));
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise(function (done) {
      dialog.addEventListener("close", function () {
        if (!dialog.returnValue) { done(null); return; }
        var sent = { button: dialog.returnValue };
        new FormData(dialog.querySelector("form")).forEach(function (value, name) { sent[name] = value; });
        done(sent);
      }, { once: true });
    });
  }

  function field(label, control, name) {
    var made = element("label", "field", "");
    made.append(element("span", "", label), control);
    control.name = name;
    return made;
  }

  function input(type, value, more) { return Object.assign(document.createElement("input"), { type: type, value: value === undefined ? "" : value, required: true }, more || {}); }

  function picker(templateId, value) {
    var made = document.createElement("select");
    made.append(by(templateId).content.cloneNode(true));
    if (value) made.value = value;
    return made;
  }

  window.planPanel = {
    actions: actions, grids: grids, card: card, findings: findings, log: log, when: when, ask: ask, field: field, input: input, picker: picker,
    openTab: openTab, by: by, number: number
  };
})();
