// Views and purchases of each minute of the last hour.

import * as format from "../format.js";
import { axisTip, categoryAxis, grid, legend, palette, rings, shades, valueAxis } from "./chart.js";

const MINUTE_MS = 60_000;
const DRAWN = ["views", "purchases"];

/**
 * Views as an area, purchases as bars on their own scale; whole minutes only, the current one has just begun. A minute that a detector
 * flagged is ringed, a longer window shaded.
 */
export function minutes(chart, series, anomalies = []) {
  const [views, purchases] = palette();
  const whole = series.slice(0, -1);
  const last = whole.at(-1);
  const flags = anomalies.map((one) => ({ ...one, covered: whole.filter(({ minute }) => covers(one, minute)) }))
    .filter(({ covered, metric }) => covered.length && DRAWN.includes(metric));
  const top = Math.max(2, ...whole.map((one) => one.purchases));
  chart.draw(`Views and purchases per minute; ${last.views} views and ${last.purchases} purchases in the last whole minute`, {
    grid: { ...grid(34), right: 4 },
    legend: legend(["Views", "Purchases"]),
    xAxis: categoryAxis(whole.map((one) => one.minute), format.time, { interval: (_, at) => new Date(at).getUTCMinutes() % 10 === 0 }),
    yAxis: [
      valueAxis(format.short, { min: 0, minInterval: 1 }),
      // As much room above the bars as they take, so that they stay out of the line's way.
      valueAxis(format.short, { min: 0, max: 2 * top, interval: top, splitLine: { show: false } }),
    ],
    tooltip: axisTip(([{ axisValue }]) => [format.time(axisValue), ...flags.filter((one) => covers(one, axisValue)).map(told)].join(" · "),
      (point) => [point.seriesName, format.number(point.value), point.color]),
    series: [
      // A series of bars would move a shade to the nearest labels of the axis: all are the line's.
      { name: "Views", type: "line", showSymbol: false, lineStyle: { width: 1.8, color: views }, itemStyle: { color: views },
        areaStyle: { color: views, opacity: 0.14 }, markPoint: ringed(flags, "views"), markArea: shaded(flags), data: whole.map((one) => one.views) },
      { name: "Purchases", type: "bar", yAxisIndex: 1, barMaxWidth: 5, itemStyle: { color: purchases, borderRadius: [2, 2, 0, 0] },
        markPoint: ringed(flags, "purchases"), data: whole.map((one) => one.purchases) },
    ],
  });
}

const covers = ({ windowStart, windowEnd }, minute) => Date.parse(windowStart) <= Date.parse(minute) && Date.parse(minute) < Date.parse(windowEnd);
const isMinute = ({ windowStart, windowEnd }) => Date.parse(windowEnd) - Date.parse(windowStart) === MINUTE_MS;

const ringed = (flags, metric) => rings(flags.filter((one) => one.metric === metric && isMinute(one)).map(({ covered: [one] }) => [one.minute, one[metric]]));
const shaded = (flags) => shades(flags.filter((one) => !isMinute(one)).map(({ covered }) => [covered[0].minute, covered.at(-1).minute]));

const told = (flag) => `${flag.metric} ${format.about(flag.observed)}${isMinute(flag) ? "" : ` from ${format.time(flag.windowStart)} to ${format.time(flag.windowEnd)}`}, about ${format.about(flag.expected)} expected`;
