/* Shows of an account's form what its role has: an area or a department. Without this all fields stand. */
(function () {
  "use strict";
  var role = document.getElementById("role");
  if (!role) return;
  var fields = document.querySelectorAll("[data-for]");

  function show() {
    fields.forEach(function (field) {
      field.hidden = field.dataset.for.split(" ").indexOf(role.value) < 0;
    });
  }

  role.addEventListener("change", function () {
    var options = document.getElementById("areas");
    if (options) options.textContent = "";  // grids for one role, towns for another
    show();
  });
  show();
})();
