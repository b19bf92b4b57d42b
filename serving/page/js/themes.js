// Light or dark: as the system says, until the reader chooses. The choice is kept in this browser.

import { $ } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Wire the button up; `redraw` is called after each change, since canvases keep their colours. */
export function build(redraw) {
  dark.addEventListener("change", redraw);
  $("theme").addEventListener("click", () => toggle(redraw));
}

function toggle(redraw) {
  const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  try { localStorage.setItem("millrace-theme", document.documentElement.dataset.theme); } catch { /* storage may be off */ }
  redraw();
}
