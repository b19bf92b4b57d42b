// Views and purchases of each minute of the last hour.

import * as format from "../format.js";
import { axisTip, categoryAxis, grid, legend, palette, rings, valueAxis } from "./chart.js";

/** Windows that a detector flagged are marked where they lie. Views as an area, purchases as bars on their own scale; whole minutes only, the current one has just begun. */
export function minutes(chart, series, anomalies = []) {
  const [views, purchases] = palette();
  const whole = series.slice(0, -1);
  const last = whole.at(-1);
  const marks = (metric) => anomalies.filter((one) => one.metric === metric && whole.some(({ minute }) => minute === one.windowStart));
  const flagged = new Map(anomalies.map((one) => [one.windowStart, one]));
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
    tooltip: axisTip((points) => {
      const odd = flagged.get(points[0].axisValue);
      return format.time(points[0].axisValue) + (odd ? ` · ${odd.metric}: about ${format.number(Math.round(odd.expected))} expected` : "");
    }, (point) => [point.seriesName, format.number(point.value), point.color]),
    series: [
      { name: "Views", type: "line", showSymbol: false, lineStyle: { width: 1.8, color: views }, itemStyle: { color: views },
        areaStyle: { color: views, opacity: 0.14 }, markPoint: points(marks("views"), "views", whole), data: whole.map((one) => one.views) },
      { name: "Purchases", type: "bar", yAxisIndex: 1, barMaxWidth: 5, itemStyle: { color: purchases, borderRadius: [2, 2, 0, 0] },
        markPoint: points(marks("purchases"), "purchases", whole), data: whole.map((one) => one.purchases) },
    ],
  });
}

const points = (marked, name, whole) => rings(marked.map(({ windowStart }) => [windowStart, whole.find(({ minute }) => minute === windowStart)[name]]));
