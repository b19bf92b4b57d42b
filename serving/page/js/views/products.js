// Every product of the range: sort, search, and how it went.

import { AS_OF, query } from "../api.js";
import { sparkline } from "../charts/sparkline.js";
import { openDetail } from "../dialog.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { beside, chosen, compareChoice, earlier } from "../parts/compare.js";
import { choice, panel } from "../parts/panel.js";
import { MEASURES, productName, share } from "../parts/products.js";
import { Table } from "../parts/table.js";
import * as ranges from "../ranges.js";

export const title = "Products";
export { ALL as ranges } from "../ranges.js";

const FIELDS = Object.values(MEASURES).map(({ field }) => field);
const MOST = 200;
const ROWS = 25;
const POINTS = 24;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const SUMS = "rank views clicks adds purchases units revenue currency";
const PRODUCTS = `
query Products($range: TimeRange!, $by: ProductMeasure!, $bots: BotFilter!, $earlier: Earlier) {
  ${AS_OF}
  topProducts(range: $range, by: $by, first: ${MOST}, bots: $bots, compareWith: $earlier) { productId categories refunded ${SUMS} previous { ${SUMS} } }
}`;
// Only for the rows in sight: a window for every product of a large shop would be too much. What was before is asked for as a range of its
// own: a window that has clicks only there is in no row, and would be missing from the sum.
const COURSE = `
query ProductCourse($range: TimeRange!, $before: TimeRange!, $compared: Boolean!, $window: Duration!, $products: [ID!], $bots: BotFilter!) {
  productMetrics(range: $range, window: $window, products: $products, bots: $bots) { windowStart productId views purchases units revenue clicks adds }
  conversions(range: $range, window: $window, products: $products, bots: $bots) { productId clicks convertedClicks }
  before: conversions(range: $before, window: $window, products: $products, bots: $bots) @include(if: $compared) { productId clicks convertedClicks }
}`;

export function build(page) {
  const by = () => (page.parameter("by") in MEASURES ? page.parameter("by") : "REVENUE");
  const sort = () => ({ key: page.parameter("sort") === "product" ? "product" : by(), direction: page.parameter("order") === "asc" ? "asc" : "desc" });
  const wanted = () => (page.parameter("q") ?? "").trim().toLowerCase();
  let shown = null;
  let rows = ROWS;

  const table = new Table({
    id: "products", label: "Products",
    onsort: (key, direction) => page.choose({ ...(key === "product" ? { sort: "product" } : { sort: null, by: key === "REVENUE" ? null : key }), order: direction === "asc" ? "asc" : null }),
    columns: [
      { key: "rank", label: "#", className: "rank", cell: (row) => beside(shown.compared, row.rank, row.previous?.rank, { change: false, none: format.DASH }) },
      { key: "product", label: "Product", header: true, sortable: true, first: "asc", cell: (row) => productName(row, share(row, shown.topProducts, by())) },
      { key: "course", label: "Course", num: true, spare: true, hint: "What the table is sorted by, over the range", cell: (row) => sparkline(shown.course?.get(row.productId) ?? [], { width: 96, height: 24 }) },
      ...Object.entries(MEASURES).map(([key, one]) => ({ key, label: one.label, hint: one.hint, num: true, sortable: true,
        spare: key !== "REVENUE" && key !== "VIEWS", cell: (row) => beside(shown.compared, row[one.field], row.previous?.[one.field], { as: (value) => one.write(value, row.currency) }) })),
      { key: "rate", label: "Converted", num: true, spare: true, hint: "Share of the clicks that a purchase followed within ten minutes",
        cell: (row) => beside(shown.compared, shown.rates?.get(row.productId), shown.ratesBefore?.get(row.productId), { as: format.percent, change: false }) },
      { key: "also", label: "Beside it", num: true, spare: true, hint: "What customers who viewed it also viewed",
        cell: (row) => h("button", { type: "button", class: "link", "data-key": `also-${row.productId}`, "aria-label": `Also viewed with ${row.productId}`, onclick: () => openDetail("also", row.productId) }, "Also viewed") },
    ],
  });
  const search = h("input", { type: "search", id: "products-search", placeholder: "Product or category", value: page.parameter("q"), "aria-label": "Search products",
    oninput: (event) => { rows = ROWS; page.choose({ q: event.target.value }); } });
  const more = h("button", { type: "button", class: "plain", id: "products-more", onclick: () => { rows += ROWS; page.choose({}); } });
  const list = panel({ id: "products", title: "Products", body: [table.element, h("div", { class: "pager" }, more)],
    controls: [search, choice({ id: "products-by", label: "ranked by", value: by(), onchange: (value) => page.choose({ by: value === "REVENUE" ? null : value, sort: null, order: null }),
      options: Object.entries(MEASURES).map(([name, one]) => [name, one.label.toLowerCase()]) }), compareChoice(page, "compare")],
    csv: () => [["rank", "product", "categories", ...FIELDS, "refunded", "currency", "rank_before", ...FIELDS.map((field) => `${field}_before`)],
      found(shown.topProducts).map((one) => [one.rank, one.productId, one.categories.join(" "), ...FIELDS.map((field) => one[field]), one.refunded, one.currency,
        one.previous?.rank, ...FIELDS.map((field) => one.previous?.[field])])],
  });

  /** The products that are searched for, in the order that was chosen. */
  function found(products) {
    const text = wanted();
    const kept = products.filter((one) => !text || [one.productId, ...one.categories].some((name) => name.toLowerCase().includes(text)));
    const { key, direction } = sort();
    if (key === "product") kept.sort((a, b) => a.productId.localeCompare(b.productId, undefined, { numeric: true }));
    else kept.sort((a, b) => a.rank - b.rank);
    return (key === "product") === (direction === "asc") ? kept : kept.reverse();
  }

  return {
    elements: [h("div", { class: "grid" }, list.element)],

    async load() {
      const span = page.range;
      const range = ranges.iso(span);
      const { bots } = page;
      const compared = chosen(page);
      const data = await query(PRODUCTS, { range, by: by(), bots, earlier: compared?.api ?? null });
      const products = found(data.topProducts).slice(0, rows).map((one) => one.productId);
      if (!products.length) return { ...data, compared, label: span.label };
      const step = span.to - span.from > 2 * DAY_MS ? HOUR_MS : MINUTE_MS;
      const windowMs = Math.max(1, Math.round((span.to - span.from) / step / POINTS)) * step;
      const whole = ranges.aligned(span, windowMs);
      const before = compared ? earlier(whole, compared) : whole;
      const course = await query(COURSE, { range: ranges.iso(whole), before: ranges.iso(before), compared: compared !== null, window: `PT${windowMs / MINUTE_MS}M`, products, bots });
      return { ...data, compared, label: span.label, course: courses(course.productMetrics, MEASURES[by()].field, whole, windowMs), rates: rates(course.conversions), ratesBefore: rates(course.before ?? []) };
    },

    draw(data) {
      shown = data;
      const kept = found(data.topProducts);
      const full = data.topProducts.length === MOST;
      list.note(`${wanted() ? `${format.number(kept.length)} of ` : ""}${full ? `the ${MOST} with most ${MEASURES[by()].label.toLowerCase()}` : `${format.number(data.topProducts.length)} products`}, ${data.label}${data.compared ? `; beneath each number what it was ${data.compared.label}` : ""}`);
      list.empty(!data.topProducts.length ? "No product events in this range. Choose a longer one, or count bots, too."
        : kept.length ? null : `No product or category has “${page.parameter("q")}” in its name.`);
      table.rows(kept.slice(0, rows), { sort: sort(), attributes: (row) => ({ "data-product": row.productId }) });
      more.hidden = kept.length <= rows;
      more.textContent = `Show ${format.number(Math.min(ROWS, kept.length - rows))} more`;
    },
  };
}

// A value for each window from first to last, zero where nothing happened; the categories of a product are added up.
function courses(windows, field, { from, to }, windowMs) {
  const points = Math.max(1, Math.floor((to - from) / windowMs)); // the last window has only begun
  const found = new Map();
  for (const one of windows) {
    const place = Math.round((Date.parse(one.windowStart) - from) / windowMs);
    if (place >= points) continue;
    if (!found.has(one.productId)) found.set(one.productId, new Array(points).fill(0));
    found.get(one.productId)[place] += Number(one[field]);
  }
  return found;
}

function rates(windows) {
  const sums = new Map();
  for (const { productId, clicks, convertedClicks } of windows) {
    const [all, converted] = sums.get(productId) ?? [0, 0];
    sums.set(productId, [all + clicks, converted + convertedClicks]);
  }
  return new Map([...sums].map(([product, [all, converted]]) => [product, all ? converted / all : null]));
}
