// The charts, drawn by Apache ECharts in the page's own colours.

import { $, h } from "./dom.js";
import * as format from "./format.js";

const charts = new Map();
const still = matchMedia("(prefers-reduced-motion: reduce)");

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const palette = () => [1, 2, 3, 4, 5, 6, 7, 8].map((n) => css(`--c${n}`));

/** Draw or update the chart in the element with this id; `label` is what a screen reader says. */
function draw(id, label, option) {
  const element = $(id);
  element.setAttribute("aria-label", label);
  if (!charts.has(id)) {
    const chart = window.echarts.init(element, null, { renderer: "canvas" });
    charts.set(id, chart);
    new ResizeObserver(() => chart.resize()).observe(element);
  }
  charts.get(id).setOption({ animation: !still.matches, animationDuration: 250, animationDurationUpdate: 250, ...option },
    { replaceMerge: ["series", "xAxis", "yAxis"] });
}

const text = () => ({ color: css("--muted"), fontFamily: css("--font"), fontSize: 11.5 });
const timeAxis = (extra = {}) => ({
  type: "time",
  axisLine: { lineStyle: { color: css("--line") } },
  axisTick: { show: false },
  axisLabel: { ...text(), hideOverlap: true, formatter: (at) => format.time(at), ...extra },
});
const valueAxis = (formatter, extra = {}) => ({
  type: "value",
  splitNumber: 3,
  axisLabel: { ...text(), formatter },
  splitLine: { lineStyle: { color: css("--line") } },
  ...extra,
});
const legend = (names) => ({
  data: names, type: "scroll", top: 0, left: 0, itemWidth: 10, itemHeight: 10, itemGap: 14, icon: "roundRect",
  textStyle: { ...text(), fontSize: 12 }, pageTextStyle: text(), pageIconColor: css("--muted"),
});

// Tooltips are elements, not markup: no style attributes (the page's policy forbids them) and nothing to escape.
const tooltip = (title, row) => ({
  trigger: "axis",
  confine: true,
  className: "tip",
  axisPointer: { type: "line", lineStyle: { color: css("--muted"), opacity: 0.35 } },
  backgroundColor: css("--panel"),
  borderColor: css("--line"),
  textStyle: { color: css("--ink"), fontFamily: css("--font"), fontSize: 12 },
  formatter: (points) => {
    const rows = points.map((point) => row(point)).filter(Boolean);
    return h("div", {},
      h("strong", {}, title(points)),
      rows.map(([name, value, color]) =>
        h("div", { class: "tip-row" }, h("i", { "--swatch": color }), h("span", {}, name), h("b", {}, value))));
  },
});

/** Stacked bars of money by category; a window that can still change is drawn lighter. */
export function revenue(windows, range, windowMs) {
  const categories = [...new Set(windows.map((one) => one.category))].sort();
  const currency = windows[0]?.currency ?? "USD";
  const colors = palette();
  const first = Math.ceil(range.from / windowMs) * windowMs;
  const axis = [];
  for (let at = first; at < range.to; at += windowMs) axis.push(at);
  const byKey = new Map(windows.map((one) => [`${Date.parse(one.windowStart)} ${one.category}`, one]));
  const isFinal = new Map(windows.map((one) => [Date.parse(one.windowStart), one.isFinal]));
  const total = windows.reduce((sum, one) => sum + Number(one.total), 0);
  draw("revenue-chart", `Revenue by category, ${format.money(total, currency)} in this range`, {
    color: colors,
    grid: { left: 4, right: 6, top: 34, bottom: 2, containLabel: true },
    legend: legend(categories.map(categoryName)),
    xAxis: {
      type: "category",
      data: axis,
      axisLine: { lineStyle: { color: css("--line") } },
      axisTick: { show: false },
      axisLabel: { ...text(), hideOverlap: true, interval: (_, at) => isRound(Number(at), range), formatter: (at) => format.time(Number(at)) },
    },
    yAxis: valueAxis((value) => format.money(value, currency, { whole: true })),
    tooltip: tooltip(
      (points) => {
        const at = Number(points[0].axisValue);
        return `${format.time(at)} – ${format.time(at + windowMs)}${isFinal.get(at) === false ? " · still open" : ""}`;
      },
      (point) => (point.value ? [point.seriesName, format.money(point.value, currency), point.color] : null),
    ),
    series: categories.map((category, index) => ({
      name: categoryName(category),
      type: "bar",
      stack: "revenue",
      barCategoryGap: "22%",
      barMaxWidth: 34,
      itemStyle: { color: colors[index % colors.length] },
      emphasis: { focus: "series" },
      data: axis.map((at) => {
        const one = byKey.get(`${at} ${category}`);
        return { value: one ? Number(one.total) : 0, itemStyle: { opacity: one && !one.isFinal ? 0.5 : 1 } };
      }),
    })),
  });
}

/** Views as an area, purchases as bars on their own scale; whole minutes only, the current one has just begun. */
export function minutes(series) {
  const [views, purchases] = palette();
  const whole = series.slice(0, -1);
  const points = (name) => whole.map((one) => [Date.parse(one.minute), one[name]]);
  const last = whole.at(-1);
  const top = Math.max(2, ...whole.map((one) => one.purchases));
  draw("minutes-chart", `Views and purchases per minute; ${last.views} views and ${last.purchases} purchases in the last whole minute`, {
    grid: { left: 4, right: 4, top: 34, bottom: 2, containLabel: true },
    legend: legend(["Views", "Purchases"]),
    xAxis: { ...timeAxis(), splitNumber: 4 },
    yAxis: [
      valueAxis(format.short, { min: 0, minInterval: 1 }),
      // As much room above the bars as they take, so that they stay out of the line's way.
      valueAxis(format.short, { min: 0, max: 2 * top, interval: top, splitLine: { show: false } }),
    ],
    tooltip: tooltip((points) => format.time(points[0].axisValue),
      (point) => [point.seriesName, format.number(point.value[1]), point.color]),
    series: [
      { name: "Views", type: "line", showSymbol: false, lineStyle: { width: 1.8, color: views }, itemStyle: { color: views },
        areaStyle: { color: views, opacity: 0.14 }, data: points("views") },
      { name: "Purchases", type: "bar", yAxisIndex: 1, barMaxWidth: 5, itemStyle: { color: purchases, borderRadius: [2, 2, 0, 0] },
        data: points("purchases") },
    ],
  });
}

/** Money per hour; the hour that is still running is drawn lighter. */
export function sales(buckets) {
  const currency = buckets[0]?.currency ?? "USD";
  const color = css("--c1");
  const total = buckets.reduce((sum, one) => sum + Number(one.revenue), 0);
  draw("sales-chart", `Sales by hour, ${format.money(total, currency)} in 24 hours`, {
    grid: { left: 4, right: 4, top: 12, bottom: 2, containLabel: true },
    legend: { show: false },
    xAxis: {
      type: "category",
      data: buckets.map((one) => one.windowStart),
      axisLine: { lineStyle: { color: css("--line") } },
      axisTick: { show: false },
      axisLabel: { ...text(), hideOverlap: true, formatter: format.time },
    },
    yAxis: valueAxis((value) => format.money(value, currency, { whole: true })),
    tooltip: tooltip(
      (points) => {
        const one = buckets[points[0].dataIndex];
        return `From ${format.time(one.windowStart)}${one.isFinal ? "" : " · still open"}`;
      },
      (point) => {
        const one = buckets[point.dataIndex];
        return [`${format.number(one.purchases)} purchases, ${format.number(one.uniqueCustomers)} customers`,
          format.money(one.revenue, currency), color];
      },
    ),
    series: [{
      type: "bar", barCategoryGap: "24%", barMaxWidth: 26,
      itemStyle: { color, borderRadius: [2, 2, 0, 0] },
      data: buckets.map((one) => ({ value: Number(one.revenue), itemStyle: { opacity: one.isFinal ? 1 : 0.5 } })),
    }],
  });
}

/** A tile's trend: the shape only, no axes, drawn as one SVG path. */
export function sparkline(values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 120 28");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const top = Math.max(...values, 1);
  const at = (value, index) => `${(index / Math.max(1, values.length - 1)) * 120} ${26 - (value / top) * 24}`;
  const line = `M${values.map(at).join("L")}`;
  for (const [kind, d] of [["fill", `${line}L120 28L0 28Z`], ["line", line]]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

// Labels where a person would put them: whole hours, tens of minutes.
function isRound(at, range) {
  const minutes = (range.to - range.from) / 60_000;
  const step = minutes > 720 ? 180 : minutes > 120 ? 60 : minutes > 30 ? 10 : 3;
  const date = new Date(at);
  return (date.getHours() * 60 + date.getMinutes()) % step === 0;
}

export const categoryName = (category) => category || "no category";
