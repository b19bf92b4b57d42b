// What happened hour by hour, what was expected of it, and what is expected next.

import * as format from "../format.js";
import { isRound, timeLabel } from "./axes.js";
import { axisTip, categoryAxis, color, grid, legend, rings, valueAxis } from "./chart.js";
import { flagText } from "./sales.js";

/** `hours` are consecutive: each with `at`, `actual` (null from now on), `isFinal`, and `expected`, `low`, `high` where there is a forecast; `odd` is what detectors flagged in it. */
export function forecast(chart, { hours, show, tick, title, zone }) {
  const bars = color("--c1");
  const line = color("--ink");
  const range = { from: hours[0].at, to: hours.at(-1).at };
  const label = timeLabel({ from: range.from, to: range.from + 1 });
  const ahead = hours.filter((one) => one.actual === null && one.expected !== undefined);
  const sum = (name) => ahead.reduce((total, one) => total + one[name], 0);
  const band = (value) => hours.map((one) => (one.expected === undefined ? null : value(one)));
  // The two areas of the band lie on one another: up to `low` nothing is drawn.
  const area = { type: "line", stack: "band", symbol: "none", silent: true, lineStyle: { opacity: 0 }, tooltip: { show: false } };
  chart.draw(`${title}: about ${show(sum("expected"))} expected in the next ${ahead.length} hours`, {
    grid: grid(34),
    legend: legend(["Happened", "Expected"]),
    xAxis: categoryAxis(hours.map((one) => String(one.at)), (at) => label(Number(at)), { interval: (_, at) => isRound(Number(at), range, zone) }),
    yAxis: valueAxis(tick, { min: 0 }),
    tooltip: axisTip(
      ([{ dataIndex }]) => format.dayTime(hours[dataIndex].at) + (hours[dataIndex].actual !== null && !hours[dataIndex].isFinal ? " · still open" : "")
        + hours[dataIndex].odd.map((flag) => ` · ${flagText(flag)}`).join(""),
      ({ seriesName, dataIndex }) => {
        const one = hours[dataIndex];
        if (seriesName === "Happened") return one.actual === null ? null : [seriesName, show(one.actual), bars];
        return one.expected === undefined || seriesName !== "Expected" ? null : [seriesName, `${show(one.expected)} (${show(one.low)} – ${show(one.high)})`, line];
      }),
    series: [
      { name: "Happened", type: "bar", barCategoryGap: "24%", barMaxWidth: 30, color: bars, itemStyle: { color: bars, borderRadius: [2, 2, 0, 0] },
        markPoint: rings(hours.filter((one) => one.odd.length).map((one) => [String(one.at), one.actual])),
        data: hours.map((one) => ({ value: one.actual, itemStyle: { opacity: one.isFinal ? 1 : 0.5 } })) },
      { ...area, name: "low", data: band((one) => one.low) },
      { ...area, name: "high", areaStyle: { color: line, opacity: 0.12 }, data: band((one) => one.high - one.low) },
      { name: "Expected", type: "line", symbol: "none", color: line, lineStyle: { width: 1.4, type: [5, 3], color: line }, itemStyle: { color: line }, data: band((one) => one.expected) },
    ],
  });
}
