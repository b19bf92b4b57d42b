// What is counted of a product, and how a product is named in a table.

import { h } from "../dom.js";
import * as format from "../format.js";
import { addressOf } from "../url.js";

/** By the API's name of the measure. `text(row)` is what a cell says, `write(value, currency)` how one is written. */
export const MEASURES = {
  VIEWS: { field: "views", label: "Views" },
  CLICKS: { field: "clicks", label: "Clicks" },
  ADDS: { field: "adds", label: "Adds", hint: "Additions to a cart" },
  PURCHASES: { field: "purchases", label: "Purchases", hint: "Order lines bought" },
  UNITS: { field: "units", label: "Units", hint: "Pieces bought" },
  REVENUE: { field: "revenue", label: "Revenue" },
};
for (const one of Object.values(MEASURES)) {
  one.write = one.field === "revenue" ? format.money : format.number;
  one.text = (row) => one.write(row[one.field], row.currency);
}

/** A product's part of the largest in the list, 0 to 1. */
export function share(row, rows, measure) {
  const { field } = MEASURES[measure];
  return Number(row[field]) / (Math.max(...rows.map((one) => Number(one[field]))) || 1);
}

/** Name and categories over a bar that is as long as its share; a link to the sessions that saw it. */
export const productName = (row, part) => [
  h("a", { class: "name", "data-key": `product-${row.productId}`, title: `Sessions with ${row.productId}`, href: addressOf("/sessions", { product: row.productId }) }, row.productId), " ",
  h("span", { class: "sub" }, row.categories.map(format.categoryName).join(", ") || format.categoryName("")),
  h("span", { class: "meter", "--share": `${part * 100}%`, "aria-hidden": "true" }),
];
