// What numbers are held against: an earlier period, chosen once for all views that can.

import { h } from "../dom.js";
import * as format from "../format.js";
import { choice } from "./panel.js";

const DAY_MS = 86_400_000;
/** By the name in the address: the API's name, what a reader calls it, and how many days back it is. */
const EARLIER = {
  range: { api: "RANGE_BEFORE", label: "the time right before", days: 0 },
  day: { api: "DAY_BEFORE", label: "a day before", days: 1 },
  week: { api: "WEEK_BEFORE", label: "a week before", days: 7 },
  year: { api: "YEAR_BEFORE", label: "52 weeks before", days: 364 },
};

/** The period that is chosen, null for none. */
export const chosen = (page) => EARLIER[page.parameter("compare")] ?? null;

/** The earlier stretch that a range is compared with, as the API has it. */
export function earlier({ from, to }, { days }) {
  const back = days * DAY_MS || to - from;
  return { from: from - back, to: to - back };
}

export const compareChoice = (page, id) => choice({ id, label: "beside", value: page.parameter("compare") in EARLIER ? page.parameter("compare") : "",
  options: [["", "nothing"], ...Object.entries(EARLIER).map(([name, one]) => [name, one.label])], onchange: (value) => page.choose({ compare: value || null }) });

/** "+20%", "×21" from tenfold on; null where there was nothing before. */
export function moved(now, before) {
  if (!(Number(before) > 0)) return null;
  return now >= 10 * before ? `×${format.number(Math.round(now / before))}` : format.change(Number(now), Number(before));
}

/**
 * A number with what it was beneath it, and by how much it has changed; the number alone where nothing is compared. `before` is
 * null where there was none of it. `as` writes numbers, `change: false` leaves the change out, as of shares.
 */
export function beside(compared, now, before, { as = format.number, change = true, none = "none" } = {}) {
  if (!compared) return as(now);
  const by = change ? moved(now, before) : null;
  return [h("span", {}, as(now)), h("span", { class: "then" }, before === null || before === undefined ? none : as(before), by && h("span", { class: "by" }, by))];
}

/** "1,200 sessions" → "1,200 sessions, 1,000 a week before (+20%)". */
export const noted = (text, compared, now, before) =>
  (compared ? `${text}; ${format.number(before ?? 0)} ${compared.label}${before ? ` (${moved(now, before)})` : ""}` : text);
