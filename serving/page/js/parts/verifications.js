// Comparisons of the tables with the event log: the newest, and what differed.

import { eventLink } from "../details/event.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { lacks } from "../key.js";

export function verifications(all) {
  const title = h("h3", {}, "Compared with the event log");
  if (!all.length) return [title, h("p", { class: "muted" }, "Not yet. An hour is compared every few minutes; “millrace verify” compares at once.")];
  return [title, h("ul", { class: "checks" }, all.map((one) => h("li", { class: one.mismatches ? "bad" : "good" },
    h("span", { class: "mark", "aria-hidden": "true" }, one.mismatches ? "!" : "✓"),
    h("span", {}, span(one), h("span", { class: "sub" }, ` ${format.number(one.rows)} rows`), examples(one)),
    h("span", { class: "num" }, one.mismatches ? `${format.number(one.mismatches)} differ` : "all agree"))))];
}

const span = ({ from, until, at }) => (from ? `${format.dayTime(from)} – ${until ? format.time(until) : "now"}` : `All, at ${format.dayTime(at)}`);

const examples = (one) => (one.examples ? one.examples.map(example) : one.mismatches ? h("p", { class: "sub" }, lacks("personal")) : null);

const example = (one) => h("p", { class: "sub" },
  `${one.table}, ${one.key.map(({ column, value }) => `${column} ${value}`).join(", ")}: ${one.difference.toLowerCase()}`,
  one.columns.map(({ column, expected, found }) => ` · ${column} ${found}, the log says ${expected}`),
  one.eventIds.length ? [" · events ", one.eventIds.flatMap((id, index) => [index ? ", " : null, eventLink(id)])].flat() : null);
