// What customers who viewed a product also viewed, and what became of it in carts.

import { query } from "../api.js";
import { openDetail } from "../dialog.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Customers also viewed";

const ALSO = `
query AlsoViewed($id: ID!, $range: TimeRange!) {
  alsoViewed(productId: $id, range: $range, first: 12) { productId sessions products { productId sessions share } }
}`;

export async function load(id, page) {
  const { range } = page;
  const { alsoViewed } = await query(ALSO, { id, range: periods.iso(range) });
  const { sessions, products } = alsoViewed;
  const told = `${format.number(sessions)} ${sessions === 1 ? "session" : "sessions"} viewed it, ${range.label}. Bots are left out.`;
  if (!products.length) return [h("p", {}, h("b", {}, id)), h("p", { class: "empty" }, sessions ? `${told} No other product was viewed in them.` : `Nobody viewed it in this range. Choose a longer one.`)];
  const table = new Table({ id: "also-viewed", label: "Also viewed", columns: [
    { key: "product", label: "Product", header: true, cell: (one) => [
      h("button", { type: "button", class: "link", onclick: () => openDetail("also", one.productId) }, one.productId),
      h("span", { class: "meter", "--share": `${(one.sessions / products[0].sessions) * 100}%`, "aria-hidden": "true" })] },
    { key: "sessions", label: "Sessions", num: true, cell: (one) => format.number(one.sessions) },
    { key: "share", label: "Of its sessions", num: true, cell: (one) => format.percent(one.share) },
  ] });
  table.rows(products);
  return [h("p", {}, h("b", {}, id), " ", h("span", { class: "sub" }, told)), table.element];
}
