"use strict"; // runs before the page is painted: the theme of the system where none was chosen
document.documentElement.classList.add("js"); // buttons that only pages without scripts need are hidden
if (!document.documentElement.dataset.bsTheme) {
  document.documentElement.dataset.bsTheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
