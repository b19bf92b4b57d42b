// The tiles: the shop just now.

import { sparkline } from "./charts.js";
import { $, h, setText } from "./dom.js";
import * as format from "./format.js";

const TILES = [
  { id: "eventsPerSecond", label: "Events per second", note: "last 5 min", show: (r) => format.rate(r.eventsPerSecond) },
  { id: "activeUsers", label: "Active users", note: "last 5 min", show: (r) => format.number(r.activeUsers) },
  { id: "viewsPerMinute", label: "Views per minute", note: "last 5 min", show: (r) => format.rate(r.viewsPerMinute), trend: "views" },
  { id: "revenueToday", label: "Revenue today", note: "since midnight", show: (r) => format.money(r.revenueToday, r.currency, { whole: Number(r.revenueToday) >= 100_000 }), trend: "revenue", lead: true },
  { id: "purchasesToday", label: "Purchases today", note: "since midnight", show: (r) => format.number(r.purchasesToday), trend: "purchases" },
  { id: "conversionRate", label: "Conversion", note: "buyers, last hour", show: (r) => format.percent(r.conversionRate) },
  { id: "cartAbandonmentRate", label: "Left in carts", note: "unbought, last hour", show: (r) => format.percent(r.cartAbandonmentRate) },
];

const built = new Map();

/** Make the tiles, empty. */
export function build() {
  for (const { id, label, note, lead } of TILES) {
    const value = h("output", { id: `tile-${id}`, class: "value" }, format.DASH);
    const trend = h("div", { class: "trend" });
    built.set(id, { value, trend });
    $("tiles").append(h("article", { class: lead ? "tile lead" : "tile" },
      h("h2", {}, label), value, h("p", {}, note), trend));
  }
}

/** Show the numbers of a commit. `data-value` is the API's own value, before rounding for people. */
export function update(realtime) {
  for (const { id, show, trend } of TILES) {
    const tile = built.get(id);
    setText(tile.value, show(realtime));
    tile.value.dataset.value = realtime[id] ?? "";
    // The current minute has only begun: leaving it out keeps the trend from always falling at its end.
    if (trend) tile.trend.replaceChildren(sparkline(realtime.series.slice(0, -1).map((one) => Number(one[trend]))));
  }
}
