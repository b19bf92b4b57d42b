// Sales by hour or day, with the period before as a line behind.

import * as format from "../format.js";
import { isRound, timeLabel } from "./axes.js";
import { axisTip, categoryAxis, color, grid, legend, rings, valueAxis } from "./chart.js";

const MEASURES = {
  revenue: (value, currency, options) => format.money(value, currency, options),
  orders: format.number, purchases: format.number, units: format.number,
};

/**
 * `buckets` and `before` side by side by their place; a bucket that can still change is drawn lighter. `odd` has for each bucket what
 * detectors flagged in it: a ring above the bar, and what it was in the tooltip.
 */
export function sales(chart, { buckets, before = [], odd = [], measure = "revenue", grain = "HOUR", zone, title = "Sales by hour" }) {
  const currency = buckets[0]?.currency ?? "USD";
  const show = (value, options) => MEASURES[measure](value, currency, options);
  const fill = color("--c1");
  const ghost = color("--muted");
  const range = { from: Date.parse(buckets[0]?.windowStart), to: Date.parse(buckets.at(-1)?.windowEnd ?? buckets.at(-1)?.windowStart) };
  const label = grain === "DAY" ? format.day : timeLabel(range);
  const value = (one) => (one ? Number(one[measure]) : null);
  const total = buckets.reduce((sum, one) => sum + value(one), 0);
  chart.draw(`${title}, ${show(total)} in this range${before.length ? `, ${show(before.reduce((sum, one) => sum + value(one), 0))} in the period before` : ""}`, {
    grid: grid(before.length ? 34 : 12),
    legend: before.length ? legend(["This period", "Period before"]) : { show: false },
    xAxis: categoryAxis(buckets.map((one) => one.windowStart), label,
      grain === "DAY" ? {} : { interval: (_, at) => isRound(Date.parse(at), range, zone) }),
    yAxis: valueAxis((tick) => (measure === "revenue" ? format.money(tick, currency, { whole: true }) : format.short(tick)), { minInterval: measure === "revenue" ? 0 : 1 }),
    tooltip: axisTip(
      ([{ dataIndex }]) => {
        const one = buckets[dataIndex];
        return `${(grain === "DAY" ? format.day : format.dayTime)(one.windowStart)}${one.isFinal ? "" : " · still open"}${(odd[dataIndex] ?? []).map((flag) => ` · ${flagText(flag)}`).join("")}`;
      },
      ({ seriesIndex, dataIndex }) => {
        const one = (seriesIndex ? before : buckets)[dataIndex];
        return one ? [seriesIndex ? "Period before" : "This period", show(one[measure]), seriesIndex ? ghost : fill] : null;
      }),
    series: [
      { name: "This period", type: "bar", barCategoryGap: "24%", barMaxWidth: 30, color: fill, markPoint: rings(buckets.filter((_, index) => odd[index]?.length).map((one) => [one.windowStart, value(one)])), itemStyle: { color: fill, borderRadius: [2, 2, 0, 0] },
        data: buckets.map((one) => ({ value: value(one), itemStyle: { opacity: one.isFinal ? 1 : 0.5 } })) },
      ...(before.length ? [{ name: "Period before", type: "line", showSymbol: before.length === 1, step: "middle", color: ghost,
        lineStyle: { width: 1.2, type: [4, 3], color: ghost }, itemStyle: { color: ghost }, data: buckets.map((_, index) => value(before[index])) }] : []),
    ],
  });
}

/** "views 4, about 120 expected" */
export const flagText = (flag) => `${flag.metric} ${format.about(flag.observed)}, about ${format.about(flag.expected)} expected at ${format.time(flag.windowStart)}`;
