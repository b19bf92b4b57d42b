// Runs before the first paint, so that the page never flashes in the other theme.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("millrace-theme"); } catch { /* storage may be off */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
