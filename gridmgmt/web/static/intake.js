/* Telling of a matter: what a browser can spare its user. Every form works without this. */
(function () {
  "use strict";

  var form = document.querySelector(".say-form, .intake-form");
  var TOO_LARGE = 12 << 20, LONG = 5;

  function element(tag, className, text) {
    var made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function changed(field) { field.dispatchEvent(new Event("change", { bubbles: true })); }
  function placed() { document.body.dispatchEvent(new Event("placed")); }
  function value(name) { return form.elements[name].value; }

  /* --- pressed twice is sent once */
  document.addEventListener("submit", function (event) {
    var own = event.target;
    if (!("once" in own.dataset) || event.defaultPrevented) return;
    var button = own.querySelector("button.primary");
    setTimeout(function () { button.disabled = true; button.textContent = "正在提交…"; }, 0);
  });
  window.addEventListener("pageshow", function (event) { if (event.persisted) location.reload(); });

  /* --- a copied link */
  document.querySelectorAll("[data-copy]").forEach(function (button) {
    var field = button.parentNode.querySelector("input");
    field.addEventListener("focus", function () { field.select(); });
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(field.value).then(function () { button.textContent = "已复制"; });
    });
  });

  if (!form) return;

  /* --- numbers of people do not belong into the words */
  var words = form.elements.words, warning = document.getElementById("numbers");
  words.addEventListener("input", function () {
    var runs = words.value.normalize("NFKC").match(/[0-9](?:[\s.()-]{0,2}[0-9]){9,20}[Xx]?/g) || [];
    warning.hidden = !runs.some(function (run) {
      var digits = run.replace(/[^0-9Xx]/g, "");
      return /1[3-9][0-9]{9}/.test(digits) || digits.length === 15 || digits.length === 18;
    });
  });

  /* --- categories as tiles: the large ones, then what is in the one that was pressed */
  var category = form.elements.category;
  function tiles() {
    var box = form.querySelector("[data-kinds]");
    if (!box) return;
    var tops = box.querySelector(".tops"), label = category.closest("label"), subs = element("div", "tiles subs");
    tops.hidden = false;
    tops.after(subs);
    category.required = false;
    label.hidden = !category.value;
    tops.addEventListener("change", function (event) {
      var group = Array.from(category.querySelectorAll("optgroup")).find(function (each) { return each.label === event.target.value; });
      subs.replaceChildren();
      label.hidden = Boolean(group);
      if (!group) { category.focus(); return; }
      Array.from(group.children).forEach(function (option) { subs.append(tile(option)); });
      if (group.children.length === 1) subs.querySelector("input").click();
    });
    form.addEventListener("submit", function (event) {
      if (category.value) return;
      event.preventDefault();
      label.hidden = false;
      category.required = true;
      category.reportValidity();
    }, true);
  }
  function tile(option) {
    var label = element("label"), input = element("input");
    input.type = "radio";
    input.name = "sub";
    input.value = option.value;
    input.checked = category.value === option.value;
    input.addEventListener("change", function () { category.value = option.value; changed(category); });
    label.append(input, element("span", "", option.textContent));
    return label;
  }

  /* --- categories by a few typed characters */
  function finder() {
    var box = form.querySelector("[data-find] .find");
    if (!box) return;
    var input = box.querySelector("input"), list = box.querySelector("ul"), at = -1;
    var all = Array.from(category.querySelectorAll("option")).filter(function (each) { return each.value; });
    box.hidden = false;
    function close() { list.hidden = true; input.setAttribute("aria-expanded", "false"); at = -1; }
    function choose(option) { category.value = option.value; input.value = option.textContent; close(); changed(category); }
    function mark(step) {
      var items = list.children;
      if (!items.length) return;
      if (items[at]) items[at].removeAttribute("aria-selected");
      at = (at + step + items.length) % items.length;
      items[at].setAttribute("aria-selected", "true");
      input.setAttribute("aria-activedescendant", items[at].id);
      items[at].scrollIntoView({ block: "nearest" });
    }
    input.addEventListener("input", function (event) {
      event.stopPropagation();
      var typed = input.value.trim();
      list.replaceChildren();
      at = -1;
      var fits = typed ? all.filter(function (each) { return (each.textContent + each.parentNode.label).includes(typed); }).slice(0, 12) : [];
      fits.forEach(function (option, n) {
        var item = element("li", "", option.textContent);
        item.id = "found-" + n;
        item.setAttribute("role", "option");
        item.append(element("small", "", option.parentNode.label));
        item.addEventListener("mousedown", function (press) { press.preventDefault(); choose(option); });
        item.option = option;
        list.append(item);
      });
      list.hidden = !fits.length;
      input.setAttribute("aria-expanded", String(Boolean(fits.length)));
      if (fits.length) mark(1);
    });
    input.addEventListener("keydown", function (event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(event.key === "ArrowDown" ? 1 : -1); }
      if (event.key === "Enter") { event.preventDefault(); if (list.children[at]) choose(list.children[at].option); }
      if (event.key === "Escape") close();
    });
    input.addEventListener("blur", close);
  }

  /* --- a suggestion is taken by pressing it, and in no other way */
  document.addEventListener("click", function (event) {
    var chip = event.target.closest("[data-category]");
    if (!chip) return;
    category.value = chip.dataset.category;
    category.closest("label").hidden = false;
    changed(category);
    category.focus();
  });

  /* --- where: the phone's position, or a point on the map */
  var pin;
  function put(lon, lat) {
    form.elements.lon.value = lon === "" ? "" : Number(lon).toFixed(6);
    form.elements.lat.value = lat === "" ? "" : Number(lat).toFixed(6);
    if (pin) pin(lon, lat);
    placed();
  }
  function locate() {
    var box = form.querySelector("[data-locate]");
    if (!box || !navigator.geolocation || !window.isSecureContext) return;
    var button = box.querySelector("button"), told = box.querySelector("p");
    function say(text, found) { told.textContent = text; told.className = found ? "of found" : "of"; }
    box.hidden = false;
    if (value("lon")) name(0);
    button.addEventListener("click", function () {
      say("正在定位…");
      navigator.geolocation.getCurrentPosition(function (found) {
        put(found.coords.longitude, found.coords.latitude);
        name(found.coords.accuracy);
      }, function (error) {
        say(error.code === 1 ? "没有允许定位，请填地址或选村社区。" : "没有定到位置，请填地址或选村社区。");
      }, { enableHighAccuracy: true, timeout: 15000, maximumAge: 60000 });
    });
    function name(accuracy) {
      if (!form.dataset.where) { say("已定位" + (accuracy ? "，误差约 " + Math.round(accuracy) + " 米" : ""), true); return; }
      var body = new FormData();
      ["lon", "lat", "csrf_token"].forEach(function (field) { body.append(field, value(field)); });
      fetch(form.dataset.where, { method: "POST", body: body, credentials: "same-origin" }).then(function (answer) {
        return answer.json();
      }).then(function (found) {
        if (!found.name) { put("", ""); say("这个位置不在本市，请填地址或选村社区。"); return; }
        say("已定位：" + found.name + (accuracy > 200 ? "（误差约 " + Math.round(accuracy) + " 米，请同时写明地址）" : ""), true);
      }).catch(function () { say("已定位", true); });
    }
  }
  function map() {
    var box = document.getElementById("pin");
    if (!box || !window.L) return;
    box.hidden = false;
    var edges = box.dataset.bounds.split(" ").map(Number), marker;
    L.Control.Zoom.prototype.options.zoomInTitle = "放大";
    L.Control.Zoom.prototype.options.zoomOutTitle = "缩小";
    var drawn = L.map(box, { attributionControl: false, preferCanvas: true, zoomSnap: 0.25, maxZoom: 19 });
    var ink = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    drawn.fitBounds([[edges[1], edges[0]], [edges[3], edges[2]]], { padding: [8, 8] });
    L.control.scale({ imperial: false }).addTo(drawn);
    pin = function (lon, lat) {
      if (marker) marker.remove();
      marker = lon === "" ? null : L.circleMarker([lat, lon], { radius: 9, weight: 3, color: "#fff", fillColor: "#b3261e", fillOpacity: 1, interactive: false }).addTo(drawn);
      if (marker && !drawn.getBounds().contains(marker.getLatLng())) drawn.setView(marker.getLatLng(), 15);
    };
    drawn.on("click", function (event) { put(event.latlng.lng, event.latlng.lat); });
    if (value("lon")) pin(Number(value("lon")), Number(value("lat")));
    fetch(box.dataset.areas, { credentials: "same-origin" }).then(function (answer) { return answer.json(); }).then(function (found) {
      var grids = L.geoJSON(gridmgmtParts.unpacked(found), { interactive: false, style: { color: ink, weight: 1, fillColor: ink, fillOpacity: 0.06 } }).addTo(drawn);
      grids.bringToBack();
      box.dataset.ready = "yes";
    }).catch(function () { box.dataset.ready = "failed"; });
  }

  /* --- what is chosen to be sent */
  var previews = document.querySelector("[data-previews]"), chooser = form.querySelector("input[type=file]");
  chooser.addEventListener("change", function () {
    previews.replaceChildren();
    Array.from(chooser.files).forEach(function (file) {
      if (file.size > TOO_LARGE) { previews.append(element("p", "notice", file.name + "：超过 12 MB，收不下，请先截图或压缩。")); return; }
      if (!/^image\/(jpeg|png|webp)$/.test(file.type)) return;
      var reader = new FileReader();
      reader.onload = function () { var shown = element("img"); shown.alt = file.name; shown.src = reader.result; previews.append(shown); };
      reader.readAsDataURL(file);
    });
  });

  /* --- one more person */
  var people = form.querySelector(".parties");
  if (people) {
    var more = element("button", "quiet more", "＋ 再加一人");
    more.type = "button";
    more.addEventListener("click", function () {
      var rows = people.querySelectorAll(".party"), row = rows[rows.length - 1].cloneNode(true);
      row.querySelectorAll("input").forEach(function (each) { each.value = ""; });
      rows[rows.length - 1].after(row);
      if (rows.length + 1 >= LONG) more.remove();
    });
    people.append(more);
  }

  tiles();
  finder();
  locate();
  map();
})();
