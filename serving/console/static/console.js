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
