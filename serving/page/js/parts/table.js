// A table that says how it is sorted and lets the reader change it.

import { h, redraw } from "../dom.js";

/**
 * `columns` are { key, label, num, spare, sortable, hint, cell(row), header }: `header` marks the one that names the row,
 * `spare` one that a narrow screen does without. `onsort(key, direction)` is asked for by a click on a column's name.
 */
export class Table {
  #columns;
  #onsort;
  #body = h("tbody");
  #heads = new Map();

  constructor({ id, label, columns, onsort = null }) {
    this.#columns = columns;
    this.#onsort = onsort;
    const head = h("tr", {}, columns.map((column) => this.#head(column)));
    this.element = h("div", { class: "scroll", id, tabindex: "0", role: "region", "aria-label": `Table: ${label}` },
      h("table", {}, h("thead", {}, head), this.#body));
  }

  /** Show rows; `key(row)` names a row, so that the focus stays on it. `sort` is { key, direction }. */
  rows(rows, { sort = null, attributes = () => ({}) } = {}) {
    for (const [key, head] of this.#heads) {
      if (sort?.key === key) head.setAttribute("aria-sort", sort.direction === "asc" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    redraw(this.#body, rows.map((row) => h("tr", attributes(row), this.#columns.map((column) =>
      h(column.header ? "th" : "td", { scope: column.header ? "row" : null, class: classes(column, sort) }, column.cell(row))))));
  }

  #head(column) {
    const { key, label, sortable, hint } = column;
    const content = sortable && this.#onsort
      ? h("button", { type: "button", class: "sort", title: hint, onclick: () => this.#sort(column) }, label)
      : label;
    const head = h("th", { scope: "col", class: classes(column, null), title: sortable ? null : hint }, content);
    this.#heads.set(key, head);
    return head;
  }

  #sort({ key, first = "desc" }) {
    const now = this.#heads.get(key).getAttribute("aria-sort");
    const other = first === "desc" ? "asc" : "desc";
    this.#onsort(key, now === (first === "desc" ? "descending" : "ascending") ? other : first);
  }
}

const classes = ({ num, spare, key, className }, sort) =>
  [num && "num", spare && sort?.key !== key && "spare", sort?.key === key && "lead", className].filter(Boolean).join(" ") || null;
