"use strict";
// A slider says its value beside it while it is dragged.
document.addEventListener("input", (event) => {
  const shown = event.target.type === "range" && document.getElementById(`${event.target.id}-value`);
  if (shown) shown.value = event.target.value;
});
