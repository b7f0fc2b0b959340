"use strict";
// The little that htmx does not do.

// An error page is shown in the place of the part that was asked for, and not thrown away.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// Without an answer the part stays as it is, and is marked as old.
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => event.target.classList.add("stale"));
}
document.addEventListener("htmx:afterSwap", (event) => event.target.classList.remove("stale"));

// Choices that change a page send their form at once; without scripts its button does.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-at-once]");
  if (form) form.requestSubmit();
});

// A page that nobody looks at asks for nothing.
document.addEventListener("htmx:confirm", (event) => {
  if (document.hidden && event.target.hasAttribute("data-live")) event.preventDefault();
});

// Charts are drawn from the specifications in the page, by a script that is there if the page has any. Of the pictures
// for wide and for narrow screens only the one that is shown is drawn.
function draw() {
  if (!window.drawCharts) return;
  let some = false;
  for (const element of document.querySelectorAll(".chart[data-spec]")) {
    if (element.getClientRects().length === 0) continue;
    element.dataset.chart = element.dataset.spec;
    delete element.dataset.spec;
    some = true;
  }
  if (some) window.drawCharts({ querySelectorAll: () => document.querySelectorAll("[data-chart]:not([data-drawn])") });
}
document.addEventListener("DOMContentLoaded", draw);
document.addEventListener("htmx:afterSwap", draw);
window.matchMedia("(max-width: 42rem)").addEventListener("change", draw);
