// The panels that are tables and lists: products, data quality, the books.

import { categoryName } from "./charts.js";
import { $, h, setText, show } from "./dom.js";
import * as format from "./format.js";

const COLUMNS = [
  ["views", "Views", "VIEWS"],
  ["clicks", "Clicks", "CLICKS"],
  ["adds", "Adds", "ADDS"],
  ["purchases", "Purchases", "PURCHASES"],
  ["units", "Units", "UNITS"],
  ["revenue", "Revenue", "REVENUE"],
];

// A narrow screen has room for two: what the table is sorted by, and one to compare it with.
const classes = (name, measure, by) => {
  if (measure === by) return "num lead";
  return name === (by === "VIEWS" ? "purchases" : "views") ? "num" : "num spare";
};

export function products(rows, by) {
  if (!rows.length) return show($("products"), empty("No product events in this range."));
  const field = COLUMNS.find(([, , measure]) => measure === by)[0];
  const top = Number(rows[0][field]) || 1;
  const cell = (row, [name, , measure]) =>
    h("td", { class: classes(name, measure, by) }, name === "revenue" ? format.money(row.revenue, row.currency) : format.number(row[name]));
  show($("products"), h("table", {},
    h("thead", {}, h("tr", {},
      h("th", { scope: "col", class: "rank" }, "#"),
      h("th", { scope: "col" }, "Product"),
      COLUMNS.map(([name, label, measure]) => h("th", { scope: "col", class: classes(name, measure, by), "aria-sort": measure === by ? "descending" : null }, label)))),
    h("tbody", {}, rows.map((row) => h("tr", { "data-product": row.productId },
      h("td", { class: "rank" }, String(row.rank)),
      h("th", { scope: "row" },
        h("span", { class: "name", title: row.productId }, row.productId),
        h("span", { class: "sub" }, row.categories.map(categoryName).join(", ") || categoryName("")),
        h("span", { class: "meter", "--share": `${(Number(row[field]) / top) * 100}%`, "aria-hidden": "true" })),
      COLUMNS.map((column) => cell(row, column)))))));
}

export function quality(rejections, totals, rangeLabel) {
  setText($("quality-note"), `refused: ${rangeLabel}; the rest since the beginning`);
  const reasons = new Map();
  const add = (one, where) => {
    const known = reasons.get(`${where}${one.reason}`) ?? { ...one, where, count: 0, sources: [] };
    known.count += one.count;
    if (one.source) known.sources.push(one.source);
    reasons.set(`${where}${one.reason}`, known);
  };
  for (const one of rejections.byReason) add(one, "rejected");
  for (const one of rejections.quarantineByReason) add(one, "quarantined");
  const sorted = [...reasons.values()].sort((a, b) => b.count - a.count).slice(0, 6);
  const top = sorted[0]?.count ?? 1;
  show($("quality"),
    h("dl", { class: "counts" },
      fact("Refused", rejections.rejected + rejections.quarantined, "events refused by the gateway, or not decodable in the log"),
      fact("Late", totals?.late, "applied after the watermark had passed them"),
      fact("Duplicates", totals?.duplicates, "already seen, not counted again"),
      fact("Conflicts", totals?.conflicts, "duplicates whose content differs from the first")),
    sorted.length
      ? h("ul", { class: "bars" }, sorted.map((one) => h("li", { title: [one.meaning, one.remedy].filter(Boolean).join(" ") },
          h("span", { class: "bar-label" }, format.words(one.reason),
            h("span", { class: "sub" }, one.where === "quarantined" ? "in the log" : one.sources.join(", "))),
          h("span", { class: "bar-value" }, format.number(one.count)),
          h("span", { class: "meter", "--share": `${(one.count / top) * 100}%`, "aria-hidden": "true" }))))
      : empty("Nothing was refused in this range."));
}

const CHECK_NAMES = {
  fates: "One fate per record", offsets: "No offset skipped", gaps: "No gap between epochs",
  minutes: "Minutes add up", log: "Delta log agrees",
};

export function books(ledger) {
  const note = $("books-note");
  if (!ledger) {
    setText(note, "");
    return show($("books"), empty("The first commit opens the books."));
  }
  setText(note, `${format.number(ledger.totals.records)} records`);
  show($("books"),
    h("p", { class: ledger.close ? "verdict good" : "verdict bad", "data-residue": ledger.residue },
      h("span", { class: "mark", "aria-hidden": "true" }, ledger.close ? "✓" : "!"),
      ledger.close ? "The books close: nothing lost, nothing counted twice." : `The books do not close: residue ${format.number(ledger.residue)}.`),
    h("ul", { class: "checks" }, ledger.checks.map((check) =>
      h("li", { class: check.residue ? "bad" : "good", title: check.meaning },
        h("span", { class: "mark", "aria-hidden": "true" }, check.residue ? "!" : "✓"),
        h("span", {}, CHECK_NAMES[check.name] ?? format.words(check.name), h("span", { class: "sr" }, check.residue ? " fails" : " holds")),
        h("span", { class: "num" }, check.residue ? `${format.number(check.left)} ≠ ${format.number(check.right)}` : format.number(check.left))))));
}

const fact = (label, value, title) => h("div", { title }, h("dt", {}, label), h("dd", {}, format.number(value)));
const empty = (message) => h("p", { class: "empty" }, message);
