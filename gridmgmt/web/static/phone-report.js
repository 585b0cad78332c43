/* Telling of a matter in three taps: what, where, a photo; kept on the telephone first and then sent (phone.js). */
(function () {
  "use strict";

  var told = window.gridmgmtTold, form = document.getElementById("report");
  if (!form || !told) return;

  var SIDE = 1600, LARGEST = 900 << 10, FAR = 2000, VAGUE = 100, DEGREE = 111000;
  var category = form.elements.category, building = form.elements.dwelling, chooser = form.elements.photos;
  var shots = [], busy = 0, offered = null;

  function by(id) { return document.getElementById(id); }
  function tiles() { return Array.from(form.querySelectorAll("[name=tile]")); }

  // --- what

  function chosenName() {
    var tile = tiles().find(function (each) { return each.checked; });
    if (tile) return tile.nextElementSibling.textContent;
    return category && category.value ? category.selectedOptions[0].textContent : "";
  }

  form.addEventListener("change", function (event) {
    if (event.target.name === "tile" && category) category.value = "";
    if (event.target === category && category.value) tiles().forEach(function (each) { each.checked = false; });
    if (chosenName()) by("what-missing").hidden = true;
  });

  form.elements.words.addEventListener("input", function () { by("numbers").hidden = !told.holdsNumber(form.elements.words.value); });

  // --- photos: smaller, upright, and without what a camera writes beside the pixels

  async function shrunk(file) {
    var picture = await createImageBitmap(file), scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    var canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    for (var quality of [0.8, 0.6, 0.4]) {
      var made = await new Promise(function (ok) { canvas.toBlob(ok, "image/jpeg", quality); });
      if (made && made.size <= LARGEST) return made.arrayBuffer();
    }
    throw new Error("too large");
  }

  async function take() {
    var files = Array.from(chooser.files), most = Number(chooser.dataset.most), trouble = "";
    chooser.value = "";
    busy += 1;
    for (var file of files) {
      if (shots.length >= most) { trouble = "最多 " + most + " 张照片，多的没有加上。"; break; }
      try { shots.push(await shrunk(file)); } catch (unread) { trouble = "有一张照片打不开，请重拍，或先截图再选。"; }
    }
    busy -= 1;
    by("photo-trouble").hidden = !trouble;
    by("photo-trouble").textContent = trouble;
    thumbs();
  }

  function thumbs() {
    var list = form.querySelector(".thumbs");
    list.replaceChildren();
    list.hidden = !shots.length;
    shots.forEach(function (data, n) {
      var item = told.element("li", "", list), shown = told.element("canvas", "", item), remove = told.element("button", "去掉", item);
      shown.setAttribute("role", "img");
      shown.setAttribute("aria-label", "照片 " + (n + 1));
      draw(shown, data);
      remove.type = "button";
      remove.addEventListener("click", function () { shots.splice(n, 1); thumbs(); });
    });
  }

  async function draw(canvas, data) {
    var picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
    canvas.height = 176;
    canvas.width = Math.round(176 * picture.width / picture.height);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
  }

  chooser.addEventListener("change", take);

  // --- where: the whole grid, a building, a touched point, or the telephone's position

  var sketch = form.querySelector(".sketch[data-frame]"), frame = sketch && sketch.dataset.frame.split(" ").map(Number);

  function inPicture(lon, lat) { return [frame[4] + (lon - frame[0]) * frame[2], frame[4] + (frame[1] - lat) * frame[3]]; }

  function put(lon, lat, system, words, reach) {
    form.elements.lon.value = lon === null ? "" : lon.toFixed(7);
    form.elements.lat.value = lat === null ? "" : lat.toFixed(7);
    form.elements.crs.value = lon === null ? "" : system;
    by("where").textContent = words;
    by("where").classList.toggle("found", lon !== null || Boolean(building && building.value));
    pin(lon, lat, reach);
  }

  function pin(lon, lat, reach) {
    if (!sketch) return;
    var group = sketch.querySelector(".pin-here");
    group.toggleAttribute("hidden", lon === null);
    if (lon === null) return;
    var at = inPicture(lon, lat);
    group.setAttribute("transform", "translate(" + at[0].toFixed(1) + " " + at[1].toFixed(1) + ")");
    group.querySelector(".reach").setAttribute("r", Math.min(160, (reach || 0) * frame[3] / DEGREE).toFixed(1));
  }

  function fromBuilding() {
    var option = building.selectedOptions[0], at = (option.dataset.at || "").split(" ").map(Number);
    put(null, null, "", option.value ? option.textContent : "整个网格（没有选具体位置）");
    if (option.value) pin(at[0], at[1]);
  }

  /* How far a position is from the grid's outline, in metres; 0 inside. */
  function away(lon, lat) {
    var outline = sketch && sketch.querySelector(".outline");
    if (!outline) return 0;
    var at = inPicture(lon, lat), point = sketch.createSVGPoint(), length = outline.getTotalLength(), nearest = Infinity;
    point.x = at[0];
    point.y = at[1];
    if (outline.isPointInFill(point)) return 0;
    for (var n = 0; n <= 200; n++) {
      var edge = outline.getPointAtLength(length * n / 200);
      nearest = Math.min(nearest, Math.hypot(edge.x - at[0], edge.y - at[1]));
    }
    return nearest / frame[3] * DEGREE;
  }

  /* Who presses the button wants to know where he is now; a page that opens is content with half a minute ago. */
  function locate(oldest) {
    var said = by("where");
    said.textContent = "正在定位…";
    navigator.geolocation.getCurrentPosition(function (found) {
      // A browser gives WGS 84, and says so to the server, which turns it into the city's own system.
      var lon = found.coords.longitude, lat = found.coords.latitude, error = Math.round(found.coords.accuracy), far = away(lon, lat);
      var words = "我的位置，误差约 " + error + " 米" + (error > VAGUE ? "，不太准，最好再选楼栋" : "");
      offered = function () { if (building) building.value = ""; put(lon, lat, "wgs84", words, error); };
      if (far <= FAR) { by("far").hidden = true; offered(); return; }
      put(null, null, "", "整个网格（没有选具体位置）");
      by("far").querySelector("p").textContent = "定位离本网格约 " + (far / 1000).toFixed(1) + " 公里（误差约 " + error + " 米）。确定是那里的事吗？";
      by("far").hidden = false;
    }, function (error) {
      said.textContent = error.code === 1 ? "没有允许定位，请选楼栋，或在图上点。" : "没有定到位置，请选楼栋，或在图上点。";
    }, { enableHighAccuracy: true, timeout: 15000, maximumAge: oldest });
  }

  function where() {
    if (navigator.geolocation && window.isSecureContext) {
      by("locate").hidden = false;
      by("locate").addEventListener("click", function () { locate(0); });
    }
    by("far").addEventListener("click", function (event) {
      if (!event.target.dataset.far) return;
      by("far").hidden = true;
      if (event.target.dataset.far === "keep") offered();
    });
    if (building) building.addEventListener("change", fromBuilding);
    if (sketch) sketch.addEventListener("click", function (event) {
      var at = new DOMPoint(event.clientX, event.clientY).matrixTransform(sketch.getScreenCTM().inverse());
      if (building) building.value = "";
      put(frame[0] + (at.x - frame[4]) / frame[2], frame[1] - (at.y - frame[4]) / frame[3], "cgcs2000", "图上点的位置");
    });
  }

  /* Whoever came from a building means it; else a position that was allowed before is taken without asking. */
  async function begin() {
    var wanted = new URLSearchParams(location.search).get("dwelling");
    if (building && wanted && !building.value) building.value = wanted;
    if (building && building.selectedIndex < 0) building.value = "";
    if (building && building.value) { fromBuilding(); return; }
    if (form.elements.lon.value || !navigator.permissions || !navigator.geolocation) return;
    var allowed = await navigator.permissions.query({ name: "geolocation" }).catch(function () { return {}; });
    if (allowed.state === "granted") locate(30000);
  }

  // --- keeping it

  function fieldsOf(key, at) {
    var fields = { key: key, at: at };
    ["lon", "lat", "crs", "dwelling", "words", "tile", "category"].forEach(function (name) {
      var field = form.elements[name];
      if (field && field.value) fields[name] = field.value;
    });
    return fields;
  }

  function refusal() {
    by("what-missing").hidden = Boolean(chosenName());
    if (!chosenName()) return tiles()[0];
    by("numbers").hidden = !told.holdsNumber(form.elements.words.value);
    return by("numbers").hidden ? null : form.elements.words;
  }

  async function save() {
    var wrong = refusal(), button = form.querySelector(".primary");
    if (wrong) { wrong.focus(); wrong.scrollIntoView({ block: "center" }); return; }
    if (busy) { by("photo-trouble").textContent = "照片还在处理，请再按一次。"; by("photo-trouble").hidden = false; return; }
    button.disabled = true;
    var at = new Date().toISOString(), key = told.newKey();
    try {
      await told.put({ key: key, at: at, about: chosenName(), fields: fieldsOf(key, at), photos: shots });
      fresh();
      by("told").scrollIntoView({ block: "nearest" });
      told.flush();
    } catch (unkept) {
      if (unkept.message !== "full") { plainly(at); return; }
      by("photo-trouble").textContent = "手机上存不下了：请先到有信号的地方，让等着的诉求上报。";
      by("photo-trouble").hidden = false;
    }
    button.disabled = false;
  }

  /* No room on the telephone, or none allowed: the page sends it as any form. */
  function plainly(at) {
    var files = new DataTransfer();
    shots.forEach(function (data, n) { files.items.add(new File([data], "photo-" + (n + 1) + ".jpg", { type: "image/jpeg" })); });
    chooser.files = files.files;
    form.elements.at.value = at;
    form.submit();
  }

  function fresh() {
    form.reset();
    tiles().forEach(function (each) { each.checked = false; });
    ["words", "category", "dwelling"].forEach(function (name) { if (form.elements[name]) form.elements[name].value = ""; });
    shots = [];
    thumbs();
    by("far").hidden = by("photo-trouble").hidden = by("numbers").hidden = true;
    put(null, null, "", "整个网格（没有选具体位置）");
  }

  told.refill = function (entry) {
    var fields = entry.fields;
    fresh();
    tiles().forEach(function (each) { each.checked = each.value === fields.tile; });
    ["words", "category", "dwelling"].forEach(function (name) { if (form.elements[name]) form.elements[name].value = fields[name] || ""; });
    shots = entry.photos;
    thumbs();
    if (fields.lon) put(Number(fields.lon), Number(fields.lat), fields.crs, "原来的位置");
    else if (building) fromBuilding();
    form.scrollIntoView();
  };

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    save();
  });
  where();
  begin();
})();
