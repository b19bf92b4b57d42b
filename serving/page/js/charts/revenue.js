// Revenue by category, in windows.

import * as format from "../format.js";
import { isRound, timeLabel } from "./axes.js";
import { axisTip, categoryAxis, grid, legend, palette, valueAxis } from "./chart.js";

const NAMED = 5;
const OTHERS = "all others";

/** Stacked bars of money, the largest categories by name; a window that can still change is drawn lighter. */
export function revenue(chart, windows, range, windowMs, zone) {
  const currency = windows[0]?.currency ?? "USD";
  const colors = palette();
  const axis = [];
  for (let at = Math.ceil(range.from / windowMs) * windowMs; at < range.to; at += windowMs) axis.push(at);
  const series = byCategory(windows);
  const isFinal = new Map(windows.map((one) => [Date.parse(one.windowStart), one.isFinal]));
  const total = windows.reduce((sum, one) => sum + Number(one.total), 0);
  const label = timeLabel(range);
  chart.draw(`Revenue by category, ${format.money(total, currency)} in this range`, {
    grid: grid(34),
    legend: legend(series.map(({ name }) => name)),
    xAxis: categoryAxis(axis, (at) => label(Number(at)), { interval: (_, at) => isRound(Number(at), range, zone) }),
    yAxis: valueAxis((value) => format.money(value, currency, { whole: true })),
    tooltip: axisTip(
      (points) => {
        const at = Number(points[0].axisValue);
        return `${format.dayTime(at)} – ${format.time(at + windowMs)}${isFinal.get(at) === false ? " · still open" : ""}`;
      },
      (point) => (point.value ? [point.seriesName, format.money(point.value, currency), point.color] : null),
    ),
    series: series.map(({ name, totals }, index) => {
      const fill = name === OTHERS ? colors.at(-1) : colors[index];
      return {
        name, type: "bar", stack: "revenue", barCategoryGap: "22%", barMaxWidth: 34, color: fill,
        itemStyle: { color: fill }, emphasis: { focus: "series" },
        data: axis.map((at) => ({ value: totals.get(at) ?? 0, itemStyle: { opacity: isFinal.get(at) === false ? 0.5 : 1 } })),
      };
    }),
  });
}

// The categories with most money first, what is beyond them added up.
function byCategory(windows) {
  const sums = new Map();
  for (const one of windows) sums.set(one.category, (sums.get(one.category) ?? 0) + Number(one.total));
  const ranked = [...sums.keys()].sort((a, b) => sums.get(b) - sums.get(a) || a.localeCompare(b));
  const named = new Set(ranked.length > NAMED + 1 ? ranked.slice(0, NAMED) : ranked);
  const series = new Map();
  for (const category of [...named, ...(ranked.length > named.size ? [null] : [])]) {
    series.set(category, { name: category === null ? OTHERS : format.categoryName(category), totals: new Map() });
  }
  for (const one of windows) {
    const { totals } = series.get(named.has(one.category) ? one.category : null);
    const at = Date.parse(one.windowStart);
    totals.set(at, (totals.get(at) ?? 0) + Number(one.total));
  }
  return [...series.values()];
}
