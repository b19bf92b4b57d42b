// The shop just now: what a team keeps open.

import { AS_OF, may, query } from "../api.js";
import { Chart } from "../charts/chart.js";
import { minutes } from "../charts/minutes.js";
import { revenue } from "../charts/revenue.js";
import { sales } from "../charts/sales.js";
import { sparkline } from "../charts/sparkline.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { books } from "../parts/books.js";
import { Figures } from "../parts/figures.js";
import { choice, panel } from "../parts/panel.js";
import { sessionList, sessionRows } from "../parts/sessionList.js";
import { MEASURES, productName, share } from "../parts/products.js";
import { Table } from "../parts/table.js";
import * as ranges from "../ranges.js";

export const title = "Overview";
export { ALL as ranges } from "../ranges.js";

const overview = (personal) => `
query Overview(${personal ? "$status: SessionStatus, " : ""}$range: TimeRange!, $day: TimeRange!, $hour: TimeRange!, $window: Duration!, $by: ProductMeasure!, $zone: String, $bots: BotFilter!) {
  ${AS_OF}
  revenue(range: $range, window: $window, bots: $bots) { windowStart category total count currency isFinal }
  topProducts(range: $range, by: $by, first: 8, bots: $bots) { rank productId categories views purchases units revenue currency adds clicks }
  sales(range: $day, grain: HOUR, timeZone: $zone, bots: $bots) { windowStart windowEnd revenue purchases currency isFinal }
  ${personal ? `sessions(first: 10, status: $status, bots: $bots) { nodes { ${sessionList.FIELDS} } }` : ""}
  rejections(range: $range) { rejected quarantined }
  anomalies(range: $hour, scope: SITE) { windowStart windowEnd metric observed expected }
  books { close residue checks { name meaning left right residue } totals { records late duplicates conflicts } }
}`;

const TILES = [
  { id: "eventsPerSecond", label: "Events per second", note: "last 5 min", text: (r) => format.rate(r.eventsPerSecond) },
  { id: "activeUsers", label: "Active users", note: "last 5 min", text: (r) => format.number(r.activeUsers) },
  { id: "viewsPerMinute", label: "Views per minute", note: "last 5 min", text: (r) => format.rate(r.viewsPerMinute), trend: "views" },
  { id: "revenueToday", label: "Revenue today", note: "since 0:00", text: (r) => format.money(r.revenueToday, r.currency, { whole: Number(r.revenueToday) >= 10_000 }), trend: "revenue", lead: true },
  { id: "purchasesToday", label: "Purchases today", note: "since 0:00", text: (r) => format.number(r.purchasesToday), trend: "purchases" },
  { id: "conversionRate", label: "Conversion", note: "buyers, last hour", text: (r) => format.percent(r.conversionRate), hint: "Share of the users seen in the last hour who bought" },
  { id: "cartAbandonmentRate", label: "Left in carts", note: "unbought, last hour", text: (r) => format.percent(r.cartAbandonmentRate), hint: "Share of the sessions with a filled cart that bought nothing" },
];

export function build(page) {
  const by = () => (page.parameter("by") in MEASURES ? page.parameter("by") : "REVENUE");
  const status = () => (["ACTIVE", "COMPLETED"].includes(page.parameter("status")) ? page.parameter("status") : "");
  const figures = new Figures("Just now", TILES);
  const charts = { revenue: new Chart("revenue"), minutes: new Chart("minutes"), sales: new Chart("sales") };
  let shown = null;

  const products = new Table({ id: "products", label: "Top products", columns: [
    { key: "rank", label: "#", className: "rank", cell: (row) => String(row.rank) },
    { key: "product", label: "Product", header: true, cell: (row) => productName(row, share(row, shown.topProducts, by())) },
    ...Object.entries(MEASURES).map(([key, one]) => ({ key, label: one.label, num: true, spare: key !== "VIEWS" && key !== "REVENUE", cell: one.text })),
  ] });
  const sessions = sessionList({ id: "sessions", label: "Latest sessions" });
  const ledger = books();

  const panels = {
    revenue: panel({ id: "revenue", title: "Revenue by category", size: "wide", body: charts.revenue.element, chart: charts.revenue,
      csv: () => [["window_start", "category", "revenue", "purchases", "currency", "final"],
        shown.revenue.map((one) => [one.windowStart, one.category, one.total, one.count, one.currency, one.isFinal])] }),
    minutes: panel({ id: "minutes", title: "Views and purchases", size: "narrow", body: charts.minutes.element, chart: charts.minutes,
      csv: () => [["minute", "views", "purchases", "revenue"], page.realtime.series.map((one) => [one.minute, one.views, one.purchases, one.revenue])] }),
    products: panel({ id: "products", title: "Top products", size: "wide", body: products.element,
      controls: [choice({ id: "products-by", label: "by", value: by(), onchange: (value) => page.choose({ by: value === "REVENUE" ? null : value }),
        options: Object.entries(MEASURES).map(([name, one]) => [name, one.label.toLowerCase()]) })],
      csv: () => [["rank", "product", "categories", ...Object.values(MEASURES).map((one) => one.field), "currency"],
        shown.topProducts.map((one) => [one.rank, one.productId, one.categories.join(" "), ...Object.values(MEASURES).map(({ field }) => one[field]), one.currency])] }),
    sales: panel({ id: "sales", title: "Sales by hour", size: "narrow", body: charts.sales.element, chart: charts.sales,
      csv: () => [["hour", "revenue", "purchases", "currency", "final"], shown.sales.map((one) => [one.windowStart, one.revenue, one.purchases, one.currency, one.isFinal])] }),
    sessions: panel({ id: "sessions", title: "Latest sessions", size: "wide", body: sessions.element,
      controls: [choice({ id: "sessions-status", label: "show", value: status(), onchange: (value) => page.choose({ status: value }),
        options: [["", "all"], ["ACTIVE", "active"], ["COMPLETED", "completed"]] })], csv: () => sessionRows(shown.sessions.nodes) }),
    books: panel({ id: "books", title: "The books", size: "narrow", body: ledger.element, csv: ledger.csv }),
  };
  panels.sales.note("last 24 hours");

  return {
    elements: [figures.element, h("div", { class: "grid" }, Object.values(panels).map((one) => one.element))],

    async load() {
      const range = page.range;
      const windowMs = ranges.windowMinutes(range) * 60_000;
      const now = Date.now();
      const whole = ranges.aligned(range, windowMs);
      const personal = await may("personal");
      const data = await query(overview(personal), {
        range: ranges.iso(whole), day: ranges.iso({ from: now - 86_400_000, to: now }), hour: ranges.iso({ from: now - 7_200_000, to: now }), window: `PT${windowMs / 60_000}M`,
        by: by(), zone: page.zone, bots: page.bots, ...(personal && { status: status() || null }),
      });
      return { ...data, range: whole, windowMs };
    },

    draw(data) {
      shown = data;
      const { label } = data.range;
      panels.revenue.note(`${data.windowMs / 60_000}-minute windows, ${label}; lighter bars are still open`);
      panels.revenue.empty(data.revenue.length ? null : "No purchases in this range. Choose a longer one, or count bots, too.");
      if (data.revenue.length) revenue(charts.revenue, data.revenue, data.range, data.windowMs, page.zone);
      panels.minutes.note(data.anomalies.length ? "last hour; what is odd is marked" : "last hour");
      if (page.realtime) minutes(charts.minutes, page.realtime.series, data.anomalies);
      sales(charts.sales, { buckets: data.sales, zone: page.zone });
      panels.products.note(label);
      panels.products.empty(data.topProducts.length ? null : "No product events in this range.");
      products.rows(data.topProducts, { sort: { key: by(), direction: "desc" }, attributes: (row) => ({ "data-product": row.productId }) });
      if (!data.sessions) panels.sessions.locked("personal");
      else panels.sessions.empty(data.sessions.nodes.length ? null : "No sessions to show.");
      sessions.show(data.sessions?.nodes ?? []);
      panels.books.note(data.books ? `${format.number(data.books.totals.records)} records` : "");
      ledger.show(data.books, data.rejections);
    },

    live(realtime) {
      for (const { id, text, note, trend } of TILES) {
        // The current minute has only begun: leaving it out keeps the trend from always falling at its end.
        const points = trend && realtime.series.slice(0, -1).map((one) => Number(one[trend]));
        figures.update(id, text(realtime), { note, value: realtime[id], trend: points ? sparkline(points) : null });
      }
      minutes(charts.minutes, realtime.series, shown?.anomalies);
    },

    dispose() {
      for (const chart of Object.values(charts)) chart.dispose();
    },
  };
}
