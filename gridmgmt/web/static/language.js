/* Puts the words of another language where scripts have made Chinese ones; pages in Chinese do not load it.
   Only whole texts that the catalogue knows are replaced: what people wrote stays as it is. */
(function () {
  "use strict";

  var HAN = /[\u4e00-\u9fff]/;
  var CHINESE = /[\u3001-\u303f\u4e00-\u9fff\uff00-\uffef]/, LONGEST = 160;
  var ATTRIBUTES = ["title", "aria-label", "placeholder", "alt"];
  var MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  var FORMS = {
    month: function (value) { return MONTHS[Number(value) - 1] || value; },
    s: function (value) { return value === "1" ? "" : "s"; },
    third: function (value) { return { "上": "early", "中": "mid", "下": "late" }[value] || value; }
  };
  var exact = {}, patterns = [], known = new Map();

  function filled(words, groups) {
    return words.replace(/\{(\w+)(?:\|(\w+))?\}/g, function (all, name, form) {
      return FORMS[form] ? FORMS[form](groups[name]) : say(groups[name]);
    });
  }

  /* Few words around a value do not tell our text from one that somebody wrote: there the value must be ours too. */
  function unknown(words, groups) {
    return Object.keys(groups).some(function (name) {
      return !new RegExp("\\{" + name + "\\|(month|third)").test(words) && HAN.test(say(groups[name]));
    });
  }

  function whole(text) {
    if (Object.prototype.hasOwnProperty.call(exact, text)) return exact[text];
    if (text.length > LONGEST) return text;
    for (var n = 0; n < patterns.length; n++) {
      var found = patterns[n][0].exec(text);
      if (found && !(patterns[n][2] && unknown(patterns[n][1], found.groups))) return filled(patterns[n][1], found.groups);
    }
    return text;
  }

  function say(text) {
    var core = text.trim();
    if (!CHINESE.test(core)) return text;
    if (!known.has(core)) known.set(core, whole(core));
    return known.get(core) === core ? text : text.replace(core, function () { return known.get(core); });
  }

  function put(element) {
    // A choice without a value sends its words: they go on being the Chinese ones.
    if (element.tagName === "OPTION" && !element.hasAttribute("value")) element.value = element.text;
    ATTRIBUTES.forEach(function (name) {
      var words = element.getAttribute(name), said = words && say(words);
      if (said && said !== words) element.setAttribute(name, said);
    });
  }

  function turn(root) {
    if (root.nodeType === Node.TEXT_NODE) {
      var said = /^(SCRIPT|STYLE|TEXTAREA)$/.test(root.parentNode && root.parentNode.tagName) ? root.data : say(root.data);
      if (said !== root.data) root.data = said;
    } else if (root.nodeType === Node.ELEMENT_NODE) {
      put(root);
      root.childNodes.forEach(turn);
    }
  }

  function watch(records) {
    records.forEach(function (record) {
      if (record.type === "childList") record.addedNodes.forEach(turn);
      else if (record.type === "attributes") put(record.target);
      else turn(record.target);
    });
  }

  fetch(document.currentScript.dataset.words).then(function (answer) { return answer.json(); }).then(function (words) {
    var ask = window.confirm.bind(window);
    exact = words.exact;
    patterns = words.patterns.map(function (pair) { return [new RegExp("^(?:" + pair[0] + ")$"), pair[1], pair[2]]; });
    window.confirm = function (text) { return ask(say(text)); };
    turn(document.body);
    new MutationObserver(watch).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
  });
})();
