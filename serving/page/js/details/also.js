// What customers who viewed a product also viewed, and what became of it in carts.

import { query } from "../api.js";
import { openDetail } from "../dialog.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { beside, chosen, noted } from "../parts/compare.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Customers also viewed";

const ALSO = `
query AlsoViewed($id: ID!, $range: TimeRange!, $earlier: Earlier) {
  alsoViewed(productId: $id, range: $range, first: 12, compareWith: $earlier) {
    productId sessions previous { sessions } products { productId sessions share previous { sessions share } }
  }
}`;

export async function load(id, page) {
  const { range } = page;
  const compared = chosen(page);
  const { alsoViewed } = await query(ALSO, { id, range: periods.iso(range), earlier: compared?.api ?? null });
  const { sessions, products, previous } = alsoViewed;
  const viewed = noted(`${format.number(sessions)} ${sessions === 1 ? "session" : "sessions"} viewed it, ${range.label}`, compared, sessions, previous?.sessions);
  const told = `${viewed}. Bots are left out.`;
  if (!products.length) return [h("p", {}, h("b", {}, id)), h("p", { class: "empty" }, sessions ? `${told} No other product was viewed in them.` : `Nobody viewed it in this range. Choose a longer one.`)];
  const table = new Table({ id: "also-viewed", label: "Also viewed", columns: [
    { key: "product", label: "Product", header: true, cell: (one) => [
      h("button", { type: "button", class: "link", onclick: () => openDetail("also", one.productId) }, one.productId),
      h("span", { class: "meter", "--share": `${(one.sessions / products[0].sessions) * 100}%`, "aria-hidden": "true" })] },
    { key: "sessions", label: "Sessions", num: true, cell: (one) => beside(compared, one.sessions, one.previous?.sessions) },
    { key: "share", label: "Of its sessions", num: true, cell: (one) => beside(compared, one.share, one.previous?.share, { as: format.percent, change: false }) },
  ] });
  table.rows(products);
  return [h("p", {}, h("b", {}, id), " ", h("span", { class: "sub" }, told)), table.element];
}
