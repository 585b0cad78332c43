/* A town under the pointer or in focus is marked in the table and on the map at once. */
(function () {
  "use strict";

  var board = document.querySelector(".board");
  if (!board) return;

  function mark(event) {
    var over = event.target.closest && event.target.closest("[data-unit]");
    board.querySelectorAll("[data-unit]").forEach(function (each) {
      each.classList.toggle("meant", over !== null && each.dataset.unit === over.dataset.unit);
    });
  }

  function none() {
    board.querySelectorAll(".meant").forEach(function (each) { each.classList.remove("meant"); });
  }

  board.addEventListener("mouseover", mark);
  board.addEventListener("focusin", mark);
  board.addEventListener("mouseleave", none);
  board.addEventListener("focusout", none);
})();
