// What a day was like, beside the week before: totals, who came and who buys, the funnel, what was viewed most.

import { AS_OF, query } from "../api.js";
import { h, redraw } from "../dom.js";
import * as format from "../format.js";
import { Figures } from "../parts/figures.js";
import { choice, panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

export const title = "Daily report";
export const bots = false; // reports are of people

const TOTALS = "events views users buyers sessions orders units revenue refunded";
const REPORT = `
query Report($day: String) {
  ${AS_OF}
  reportDays(first: 31) { day isFinal }
  report(day: $day) {
    day timeZone since until madeAt isFinal currency oddities
    totals { ${TOTALS} } weekBefore { ${TOTALS} }
    funnel { action sessions } carts { additions bought abandoned }
    topProducts { productId category views units revenue }
    segments { shoppers { kind users sessions views sessionTime revenue } customers { kind users orders revenue } }
    quality { rejected quarantined duplicates conflicts late residue verifications mismatches }
  }
}`;

const SHOPPERS = { BUYERS: "Buyers", WINDOW_SHOPPERS: "Window shoppers" };
const CUSTOMERS = {
  CHAMPIONS: ["Champions", "lately, often, and much"],
  LOYAL: ["Loyal", "lately and often"],
  RETURNING: ["Returning", "lately, more than once"],
  NEW: ["New", "lately, for the first time"],
  SLIPPING: ["Slipping away", "not for a while"],
  LOST: ["Lost", "not for long"],
};
const STEPS = { VIEW: "Viewed something", ADD_TO_CART: "Filled a cart", CHECKOUT_START: "Began a checkout", PURCHASE: "Bought" };
const average = ({ revenue, orders }) => (orders ? revenue / orders : null);
const buying = ({ buyers, users }) => (users ? Math.min(1, buyers / users) : null);

const FIGURES = [
  { id: "revenue", label: "Revenue", lead: true, of: (t) => Number(t.revenue), text: (t, currency) => format.money(t.revenue, currency, { whole: true }) },
  { id: "orders", label: "Orders", of: (t) => t.orders, text: (t) => format.number(t.orders) },
  { id: "average", label: "Average order", of: average, text: (t, currency) => format.money(average(t), currency) },
  { id: "users", label: "People", of: (t) => t.users, text: (t) => format.number(t.users) },
  { id: "buying", label: "Of them bought", of: buying, text: (t) => format.percent(buying(t)) },
  { id: "sessions", label: "Sessions", of: (t) => t.sessions, text: (t) => format.number(t.sessions) },
  { id: "refunded", label: "Refunded", of: (t) => Number(t.refunded), text: (t, currency) => format.money(t.refunded, currency, { whole: true }) },
];

export function build(page) {
  let shown = null;
  const figures = new Figures("The day", FIGURES);
  const days = h("div", { class: "filters" });

  const money = { key: "revenue", label: "Revenue", num: true, cell: (one) => format.money(one.revenue, shown.currency) };
  const people = { key: "users", label: "People", num: true, cell: (one) => format.number(one.users) };
  const shoppers = new Table({ id: "shoppers", label: "Who came", columns: [
    { key: "kind", label: "Who", header: true, cell: (one) => h("span", { class: "name" }, SHOPPERS[one.kind]) },
    people,
    { key: "sessions", label: "Sessions", num: true, spare: true, cell: (one) => format.number(one.sessions) },
    { key: "views", label: "Views each", num: true, spare: true, cell: (one) => (one.users ? format.about(one.views / one.users) : format.DASH) },
    { key: "length", label: "Session", num: true, spare: true, hint: "Mean length of a session", cell: (one) => format.span(one.sessions ? format.seconds(one.sessionTime) / one.sessions : null) },
    money,
  ] });
  const customers = new Table({ id: "customers", label: "Customers", columns: [
    { key: "kind", label: "Group", header: true, cell: (one) => [h("span", { class: "name" }, CUSTOMERS[one.kind][0]), h("span", { class: "sub" }, CUSTOMERS[one.kind][1])] },
    { ...people, cell: (one) => [format.number(one.users), h("span", { class: "meter", "--share": `${(one.users / most(shown.segments.customers)) * 100}%`, "aria-hidden": "true" })] },
    { key: "orders", label: "Orders", num: true, cell: (one) => format.number(one.orders) },
    { ...money, label: "Spent", hint: "Refunds taken off" },
  ] });
  const products = new Table({ id: "viewed", label: "Most viewed", columns: [
    { key: "product", label: "Product", header: true, cell: (one) => [h("span", { class: "name", title: one.productId }, one.productId), h("span", { class: "sub" }, format.categoryName(one.category))] },
    { key: "views", label: "Views", num: true, cell: (one) => format.number(one.views) },
    { key: "units", label: "Sold", num: true, cell: (one) => format.number(one.units) },
    money,
  ] });
  const steps = new Table({ id: "steps", label: "Funnel", columns: [
    { key: "action", label: "Sessions that", header: true, cell: (one) => h("span", { class: "name" }, STEPS[one.action]) },
    { key: "sessions", label: "Sessions", num: true, cell: (one) => format.number(one.sessions) },
    { key: "share", label: "Of the first", num: true, cell: (one) => format.percent(shown.funnel[0].sessions ? one.sessions / shown.funnel[0].sessions : null) },
  ] });
  const facts = h("dl", { class: "facts" });

  const came = panel({ id: "shoppers", title: "Who came", size: "half", body: shoppers.element,
    csv: () => [["group", "people", "sessions", "views", "minutes", "revenue"], shown.segments.shoppers.map((one) => [one.kind, one.users, one.sessions, one.views, format.seconds(one.sessionTime) / 60, one.revenue])] });
  const buys = panel({ id: "customers", title: "Customers", size: "half", body: customers.element,
    csv: () => [["group", "people", "orders", "spent"], shown.segments.customers.map((one) => [one.kind, one.users, one.orders, one.revenue])] });
  const viewed = panel({ id: "viewed", title: "Most viewed", size: "half", body: products.element,
    csv: () => [["product", "category", "views", "units", "revenue"], shown.topProducts.map((one) => [one.productId, one.category, one.views, one.units, one.revenue])] });
  const funnel = panel({ id: "steps", title: "From view to purchase", size: "half", body: steps.element,
    csv: () => [["step", "sessions"], shown.funnel.map((one) => [one.action, one.sessions])] });
  const trust = panel({ id: "trust", title: "Can the numbers be trusted", body: facts,
    csv: () => [["fact", "count"], Object.entries({ ...shown.quality, oddities: shown.oddities })] });
  const grid = h("div", { class: "grid" }, [came, funnel, buys, viewed, trust].map((one) => one.element));
  const none = h("p", { class: "empty", hidden: true }, "No report yet. The first is made within the hour; ", h("code", {}, "millrace report"), " makes one at once.");

  return {
    elements: [days, figures.element, none, grid],

    load: () => query(REPORT, { day: page.parameter("day") }),

    draw({ report, reportDays }) {
      shown = report;
      none.hidden = report !== null;
      for (const one of [figures.element, grid]) one.hidden = report === null;
      redraw(days, reportDays.length ? [
        choice({ id: "day", label: "Day", value: report?.day, onchange: (day) => page.choose({ day: day === reportDays[0].day ? null : day }),
          options: reportDays.map((one) => [one.day, one.isFinal ? one.day : `${one.day}, so far`]) }),
        report && h("p", { class: "muted" }, `${report.timeZone}, made ${format.dateTime(report.madeAt)}${report.isFinal ? "" : "; the day can still change"}`),
      ] : []);
      if (report === null) return;
      drawTotals(report);
      shoppers.rows(report.segments.shoppers);
      customers.rows(report.segments.customers);
      buys.note("by how lately, how often and for how much");
      products.rows(report.topProducts);
      viewed.empty(report.topProducts.length ? null : "Nothing was viewed.");
      steps.rows(report.funnel);
      const { additions, bought, abandoned } = report.carts;
      funnel.note(`${format.number(additions)} put into carts: ${format.number(bought)} bought, ${format.number(abandoned)} abandoned`);
      drawTrust(report);
    },
  };

  function drawTotals({ totals, weekBefore, currency }) {
    for (const { id, of, text } of FIGURES) {
      const [now, before] = [of(totals), of(weekBefore)];
      const grew = now !== null && before ? now / before - 1 : 0;
      figures.update(id, text(totals, currency), {
        note: before ? `${format.change(now, before)} on a week ago` : "none a week ago",
        value: now, tone: grew === 0 || id === "refunded" ? null : grew > 0 ? "up" : "down",
      });
    }
  }

  function drawTrust({ quality, oddities }) {
    const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    redraw(facts, [
      fact("Books", quality.residue ? `${format.number(quality.residue)} records missing` : "close"),
      fact("Held against the event log", quality.verifications ? `${format.number(quality.verifications)} times, ${quality.mismatches ? `${format.number(quality.mismatches)} rows differ` : "all equal"}` : "not that day"),
      fact("Windows flagged", h("a", { href: "/alerts", class: "name", "data-key": "oddities" }, format.number(oddities))),
      fact("Refused", format.number(quality.rejected + quality.quarantined)),
      fact("Duplicates", `${format.number(quality.duplicates)}, ${format.number(quality.conflicts)} with another content`),
      fact("Late", format.number(quality.late)),
    ]);
  }
}

const most = (customers) => Math.max(1, ...customers.map((one) => one.users));
