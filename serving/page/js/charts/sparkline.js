// A trend in a tile or a table's cell: the shape only, no axes, as one SVG.

const SVG = "http://www.w3.org/2000/svg";

/** `values` from the oldest on; nothing is drawn of fewer than two. */
export function sparkline(values, { width = 120, height = 28 } = {}) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  if (values.length < 2) return svg;
  const top = Math.max(...values) || 1;
  const at = (value, index) => `${(index / (values.length - 1)) * width} ${height - 2 - (value / top) * (height - 4)}`;
  const line = `M${values.map(at).join("L")}`;
  for (const [kind, d] of [["fill", `${line}L${width} ${height}L0 ${height}Z`], ["line", line]]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}
