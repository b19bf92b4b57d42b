// Sales by hour or day, beside the same stretch of time before.

import { AS_OF, query } from "../api.js";
import { Chart } from "../charts/chart.js";
import { flagText, sales } from "../charts/sales.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { moved } from "../parts/compare.js";
import { Figures } from "../parts/figures.js";
import { Forecast } from "../parts/forecast.js";
import { panel, segmented } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";
import { addressOf } from "../url.js";

export const title = "Sales";
export const ranges = ["today", "24h", "7d", "30d"];
export const usual = "24h";

const BUCKET = "windowStart windowEnd isFinal revenue purchases units orders averagePurchase refunds refunded currency";
const SALES = `
query Sales($current: TimeRange!, $previous: TimeRange!, $grain: Grain!, $zone: String, $bots: BotFilter!) {
  ${AS_OF}
  buckets: sales(range: $current, grain: $grain, timeZone: $zone, bots: $bots) { ${BUCKET} uniqueCustomers }
  before: sales(range: $previous, grain: $grain, timeZone: $zone, bots: $bots) { ${BUCKET} }
  anomalies(range: $current, scope: SITE, first: 200) { windowStart metric observed expected }
}`;

const DAY_MS = 86_400_000;
const GRAINS = [["HOUR", "Hours"], ["DAY", "Days"]];
const MEASURES = [["revenue", "Revenue"], ["orders", "Orders"], ["purchases", "Purchases"], ["units", "Units"]];

export function build(page) {
  const grain = () => page.parameter("grain")?.toUpperCase() || (page.range.to - page.range.from > 3 * DAY_MS ? "DAY" : "HOUR");
  const measure = () => (MEASURES.some(([name]) => name === page.parameter("measure")) ? page.parameter("measure") : "revenue");
  const chart = new Chart("sales", { tall: true });
  const figures = new Figures("In this range", [
    { id: "revenue", label: "Revenue", lead: true }, { id: "orders", label: "Orders" }, { id: "purchases", label: "Purchases", hint: "Order lines bought" },
    { id: "units", label: "Units", hint: "Pieces bought" }, { id: "average", label: "Average purchase" }, { id: "refunded", label: "Refunded" },
  ]);
  const forecast = new Forecast(page);
  let shown = null;

  const csv = () => [["start", "end", "final", "revenue", "revenue_before", "orders", "orders_before", "purchases", "units", "customers", "average", "refunded", "currency", "odd"],
    shown.rows.map(({ one, before, odd }) => [one.windowStart, one.windowEnd, one.isFinal, one.revenue, before?.revenue, one.orders, before?.orders,
      one.purchases, one.units, one.uniqueCustomers, one.averagePurchase, one.refunded, one.currency, odd.map(flagText).join("; ")])];

  const main = panel({ id: "sales", title: "Sales", body: chart.element, chart,
    controls: [
      segmented({ id: "measure", label: "Measure", options: MEASURES, value: measure(), onchange: (value) => page.choose({ measure: value === "revenue" ? null : value }) }),
      segmented({ id: "grain", label: "Length of a bar", options: GRAINS, value: grain(), onchange: (value) => page.choose({ grain: value.toLowerCase() }) }),
    ],
    csv });
  const table = new Table({ id: "sales-table", label: "Sales by time", columns: [
    { key: "at", label: "From", header: true, cell: ({ one, odd }) => [h("span", {}, shown.grain === "DAY" ? format.day(one.windowStart) : format.dayTime(one.windowStart)),
      one.isFinal ? null : h("span", { class: "sub" }, " still open"),
      odd.length ? h("a", { class: "pill warn", "data-key": one.windowStart, href: addressOf("/alerts"), title: odd.map(flagText).join("; ") }, "odd") : null] },
    { key: "revenue", label: "Revenue", num: true, cell: ({ one }) => format.money(one.revenue, one.currency) },
    { key: "before", label: "Before", num: true, cell: ({ before }) => format.money(before?.revenue, before?.currency ?? "USD") },
    { key: "change", label: "Change", num: true, spare: true, cell: ({ one, before }) => (one.isFinal ? moved(one.revenue, before?.revenue) ?? format.DASH : format.DASH) },
    { key: "orders", label: "Orders", num: true, spare: true, cell: ({ one }) => format.number(one.orders) },
    { key: "customers", label: "Customers", num: true, spare: true, hint: "Distinct users who bought", cell: ({ one }) => format.number(one.uniqueCustomers) },
    { key: "average", label: "Average", num: true, spare: true, hint: "Revenue by purchases", cell: ({ one }) => format.money(one.averagePurchase, one.currency) },
    { key: "refunded", label: "Refunded", num: true, spare: true, cell: ({ one }) => (one.refunds ? format.money(one.refunded, one.currency) : format.DASH) },
  ] });
  const list = panel({ id: "sales-by-time", title: "In numbers", body: table.element, csv });
  list.note("newest first");

  return {
    elements: [figures.element, h("div", { class: "grid" }, main.element, forecast.element, list.element)],

    async load() {
      const { range, zone } = page;
      const asked = { grain: grain(), ...periods.periods(range, grain(), zone, page.preset === "today") };
      const [data, next] = await Promise.all([
        query(SALES, { current: periods.iso(asked.current), previous: periods.iso(asked.previous), grain: asked.grain, zone, bots: page.bots }),
        forecast.load(),
      ]);
      const within = (one) => data.anomalies.filter(({ windowStart }) => Date.parse(windowStart) >= Date.parse(one.windowStart) && Date.parse(windowStart) < Date.parse(one.windowEnd));
      const rows = data.buckets.map((one, index) => ({ one, before: data.before[index], odd: within(one) }));
      return { ...data, next, rows, grain: asked.grain, label: range.label, days: asked.days };
    },

    draw(data) {
      shown = data;
      const against = `against ${data.days === 1 ? "the day before" : `the ${data.days} days before`}`;
      // Like is compared with like: hours or days that can still grow are left out of the comparison.
      const whole = data.rows.filter(({ one, before }) => one.isFinal && before);
      const sum = (name) => data.buckets.reduce((total, one) => total + Number(one[name] ?? 0), 0);
      const wholeOf = (side, name) => whole.reduce((total, row) => total + Number(row[side][name] ?? 0), 0);
      const { currency } = data.buckets[0] ?? { currency: "USD" };
      const money = (value) => format.money(value, currency, { whole: value >= 100_000 });
      const compared = (id, text, value) => {
        const [now, then] = [wholeOf("one", id), wholeOf("before", id)];
        const tone = then > 0 && now !== then ? (now > then ? "up" : "down") : null;
        figures.update(id, text, { value, note: then > 0 ? `${moved(now, then)} on before` : "nothing before", tone: id === "refunded" ? null : tone });
      };
      compared("revenue", money(sum("revenue")), sum("revenue"));
      for (const name of ["orders", "purchases", "units"]) compared(name, format.number(sum(name)), sum(name));
      compared("refunded", money(sum("refunded")), sum("refunded"));
      figures.update("average", sum("purchases") ? format.money(sum("revenue") / sum("purchases"), currency) : format.DASH, { note: "revenue by purchases" });
      const name = data.grain === "DAY" ? "Sales by day" : "Sales by hour";
      main.note(`${data.label} ${against}; lighter bars are still open`);
      const any = data.buckets.some((one) => one.purchases || one.refunds) || data.before.some((one) => one.purchases);
      main.empty(any ? null : "Nothing was sold in this range, nor before it. Choose a longer range, or count bots, too.");
      if (any) sales(chart, { buckets: data.buckets, before: data.before, odd: data.rows.map(({ odd }) => odd), measure: measure(), grain: data.grain, zone: page.zone, title: name });
      forecast.draw(data.next);
      table.rows([...data.rows].reverse());
    },

    dispose() {
      chart.dispose();
      forecast.dispose();
    },
  };
}
