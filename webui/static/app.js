"use strict";
// What every page has: the theme's button, the key for the search, questions before a change, copying.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const label = () => {
    const dark = root.dataset.bsTheme === "dark";
    button.firstElementChild.className = "bi bi-" + (dark ? "sun" : "moon-stars");
    button.setAttribute("aria-label", dark ? "Light colours" : "Dark colours");
  };
  if (button) {
    label();
    button.addEventListener("click", () => {
      root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
      document.cookie = "theme=" + root.dataset.bsTheme + ";path=/;max-age=31536000;samesite=lax";
      label();
      dispatchEvent(new CustomEvent("theme"));
    });
  }
  const search = document.getElementById("search");
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (search && event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });
  addEventListener("submit", (event) => {
    const question = (event.submitter && event.submitter.dataset.ask) || event.target.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });
  addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (!copy) return;
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent.trim());
    const said = copy.querySelector("span");
    const before = said.textContent;
    said.textContent = "Copied";
    setTimeout(() => { said.textContent = before; }, 1500);
  });
  // a link that opens the same list anew, sorted or further, has the focus there too if it was opened by a key
  addEventListener("click", (event) => {
    const link = event.detail === 0 && event.target.closest("main a[id]");
    if (link && link.pathname === location.pathname) sessionStorage.setItem("focus", link.id);
  });
  const kept = sessionStorage.getItem("focus");
  sessionStorage.removeItem("focus");
  if (kept) document.getElementById(kept)?.focus();
  // a sort link of a list changes its order: the filter form's hidden field follows
  addEventListener("htmx:pushedIntoHistory", () => {
    const field = document.getElementById("sort");
    const value = new URL(location).searchParams.get("sort");
    if (field && value) field.value = value;
  });
})();
