"use strict";
// A slider says its value beside it while it is dragged; one that has a field of its own writes it there, and follows it.
document.addEventListener("input", (event) => {
  const slider = event.target;
  const shown = slider.type === "range" && document.getElementById(`${slider.id}-value`);
  if (shown) shown.value = slider.value;
  if (slider.dataset.sets) {
    const power = "power" in slider.dataset;
    document.getElementById(slider.dataset.sets).value = power ? String(Number((10 ** slider.value).toPrecision(2))) : slider.value;
  }
  const follower = slider.id && document.querySelector(`[data-sets="${slider.id}"]`);
  const value = Number(slider.value);
  if (follower && value > 0) follower.value = "power" in follower.dataset ? Math.log10(value) : value;
});
for (const slider of document.querySelectorAll("[data-sets]")) slider.hidden = false;
