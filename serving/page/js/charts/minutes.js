// Views and purchases of each minute of the last hour.

import * as format from "../format.js";
import { axisTip, categoryAxis, grid, legend, palette, valueAxis } from "./chart.js";

/** Views as an area, purchases as bars on their own scale; whole minutes only, the current one has just begun. */
export function minutes(chart, series) {
  const [views, purchases] = palette();
  const whole = series.slice(0, -1);
  const last = whole.at(-1);
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
    tooltip: axisTip((points) => format.time(points[0].axisValue), (point) => [point.seriesName, format.number(point.value), point.color]),
    series: [
      { name: "Views", type: "line", showSymbol: false, lineStyle: { width: 1.8, color: views }, itemStyle: { color: views },
        areaStyle: { color: views, opacity: 0.14 }, data: whole.map((one) => one.views) },
      { name: "Purchases", type: "bar", yAxisIndex: 1, barMaxWidth: 5, itemStyle: { color: purchases, borderRadius: [2, 2, 0, 0] },
        data: whole.map((one) => one.purchases) },
    ],
  });
}
