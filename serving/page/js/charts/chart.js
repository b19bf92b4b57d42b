// A chart in the page's own colours, by Apache ECharts. What is drawn in it is in the files beside this one.

import { h } from "../dom.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/** The colours of series, in order; the last is for "all others". */
export const palette = () => [1, 2, 3, 4, 5, 6, 7, 8].map((n) => color(`--c${n}`));

/** A chart and the element it lives in. ECharts is started at the first drawing, when the element has a size. */
export class Chart {
  #chart = null;
  #observer = null;

  constructor(id, { tall = false, onclick = null } = {}) {
    this.element = h("div", { class: tall ? "chart tall" : "chart", id: `${id}-chart`, role: "img", "aria-label": "Nothing drawn yet" });
    this.onclick = onclick;
  }

  /** Draw or update; `label` is what a screen reader says. */
  draw(label, option) {
    this.element.setAttribute("aria-label", label);
    if (!this.#chart) {
      this.#chart = window.echarts.init(this.element, null, { renderer: "canvas" });
      if (this.onclick) this.#chart.on("click", this.onclick);
      this.#observer = new ResizeObserver(() => this.#chart.resize());
      this.#observer.observe(this.element);
    }
    this.#chart.setOption({ animation: !still.matches, animationDuration: 250, animationDurationUpdate: 250, ...option },
      { replaceMerge: ["series", "xAxis", "yAxis"] });
  }

  canvas() {
    return this.element.querySelector("canvas");
  }

  dispose() {
    this.#observer?.disconnect();
    this.#chart?.dispose();
    this.#chart = null;
  }
}

export const text = () => ({ color: color("--muted"), fontFamily: color("--font"), fontSize: 11.5 });

export const grid = (top = 12) => ({ left: 4, right: 8, top, bottom: 2, containLabel: true });

/** Categories along the bottom, labelled where there is room. */
export const categoryAxis = (data, formatter, extra = {}) => ({
  type: "category",
  data,
  axisLine: { lineStyle: { color: color("--line") } },
  axisTick: { show: false },
  axisLabel: { ...text(), hideOverlap: true, formatter, ...extra },
});

export const valueAxis = (formatter, extra = {}) => ({
  type: "value",
  splitNumber: 3,
  axisLabel: { ...text(), formatter },
  splitLine: { lineStyle: { color: color("--line") } },
  ...extra,
});

export const legend = (names) => ({
  data: names, type: "scroll", top: 0, left: 0, itemWidth: 10, itemHeight: 10, itemGap: 14, icon: "roundRect",
  textStyle: { ...text(), fontSize: 12 }, pageTextStyle: text(), pageIconColor: color("--muted"), pageIconInactiveColor: color("--line"),
});

/** The look of every tooltip. They are elements, not markup: no style attributes (the policy forbids them), nothing to escape. */
export const tipBox = () => ({
  confine: true,
  className: "tip",
  backgroundColor: color("--panel"),
  borderColor: color("--line"),
  textStyle: { color: color("--ink"), fontFamily: color("--font"), fontSize: 12 },
});

export const tip = (title, rows) => h("div", {},
  h("strong", {}, title),
  rows.map(([name, value, swatch]) =>
    h("div", { class: "tip-row" }, h("i", { "--swatch": swatch ?? "transparent" }), h("span", {}, name), h("b", {}, value))));

/** A tooltip for all series at one place of the axis; `row(point)` is [name, value, colour] or null. */
export const axisTip = (title, row) => ({
  ...tipBox(),
  trigger: "axis",
  axisPointer: { type: "line", lineStyle: { color: color("--muted"), opacity: 0.35 } },
  formatter: (points) => tip(title(points), points.map((point) => row(point)).filter(Boolean)),
});

/** A ring around points: in the colour of trouble, and a shape of its own for those who do not see the colour. */
export const rings = (coords) => ({
  symbol: "circle", symbolSize: 13, silent: true, label: { show: false },
  itemStyle: { color: "transparent", borderColor: color("--bad"), borderWidth: 2 },
  data: coords.map((coord) => ({ coord })),
});

/** A shade behind stretches of the axis, each from its first place to its last. */
export const shades = (stretches) => ({
  silent: true, itemStyle: { color: color("--bad"), opacity: 0.12 },
  data: stretches.map(([first, last]) => [{ xAxis: first }, { xAxis: last }]),
});
