// How old events were when they arrived: a histogram with its running total.

import * as format from "../format.js";
import { axisTip, categoryAxis, color, grid, legend, palette, valueAxis } from "./chart.js";

/** `buckets` youngest first; those that the watermark had passed are drawn in another colour on top. */
export function lateness(chart, { buckets, events, late }) {
  const [onTime, tooLate] = palette();
  const names = buckets.map((one) => (one.upTo === null ? "older" : `≤ ${short(format.seconds(one.upTo))}`));
  chart.draw(`${format.number(events)} events by their age at arrival, ${format.number(late)} of them late`, {
    grid: grid(34),
    legend: legend(["On time", "Late", "As old or younger"]),
    xAxis: categoryAxis(names, (name) => name),
    yAxis: [valueAxis(format.short, { minInterval: 1 }), valueAxis((value) => format.percent(value).replace(/[.,]0/, ""), { min: 0, max: 1, interval: 0.5, splitLine: { show: false } })],
    tooltip: axisTip(([{ dataIndex }]) => `Arrived ${names[dataIndex]} after they happened`,
      ({ seriesIndex, seriesName, value, color: swatch }) => [seriesName, seriesIndex === 2 ? format.percent(value) : format.number(value), swatch]),
    series: [
      { name: "On time", type: "bar", stack: "events", barMaxWidth: 36, itemStyle: { color: onTime }, data: buckets.map((one) => one.events - one.late) },
      { name: "Late", type: "bar", stack: "events", barMaxWidth: 36, itemStyle: { color: tooLate }, data: buckets.map((one) => one.late) },
      { name: "As old or younger", type: "line", yAxisIndex: 1, symbolSize: 4, lineStyle: { width: 1.5, color: color("--muted") }, itemStyle: { color: color("--muted") },
        data: buckets.map((one) => one.cumulativeShare) },
    ],
  });
}

function short(seconds) {
  const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86_400 ? [3600, "h"] : [86_400, "d"];
  return `${seconds / size} ${unit}`;
}
