// A list of sessions; each opens as a timeline.

import { effort, status } from "../details/session.js";
import { openDetail } from "../dialog.js";
import { h, redraw } from "../dom.js";
import * as format from "../format.js";

/** A `rich` one says also with what device and how the visitor came. */
export function sessionList({ id, label, rich = false }) {
  const element = h("ul", { class: rich ? "sessions rich" : "sessions", id, "aria-label": label });
  return { element, show: (sessions) => redraw(element, sessions.map((one) => h("li", {}, row(one, rich)))) };
}

/** The same sessions as lines of a CSV: [header, rows]. */
export const sessionRows = (sessions) => [
  ["session", "user", "started", "ended", "status", "events", "purchases", "revenue", "currency", "device", "medium", "entry_page", "exit_page"],
  sessions.map((one) => [one.sessionId, one.userId, one.startedAt, one.endedAt, one.status, one.events, one.purchases, one.revenue, one.currency, one.device, one.medium, one.entryPage, one.exitPage]),
];

sessionList.FIELDS = "id sessionId userId startedAt endedAt duration status events purchases revenue currency device medium entryPage exitPage bounced";

/** The path of a page's address: the host is the same for all. */
export function pathOf(page) {
  if (!page) return format.DASH;
  try {
    return new URL(page, location.origin).pathname;
  } catch {
    return page;
  }
}

const row = (one, rich) => h("button", { type: "button", "data-key": one.id, onclick: () => openDetail("session", one.id) },
  h("span", { class: "who" }, h("span", { class: "name" }, one.userId), " ", h("span", { class: "sub" }, format.timeSeconds(one.startedAt))),
  " ", h("span", { class: "pages" }, h("span", {}, pathOf(one.entryPage)), " ", one.exitPage && one.events > 1 ? h("span", { class: "sub" }, `→ ${pathOf(one.exitPage)}`) : null),
  " ", h("span", { class: "effort" }, `${format.number(one.events)} ${one.events === 1 ? "event" : "events"} `, h("span", { class: "sub" }, effort(one))),
  rich && " ", rich && h("span", { class: "how sub" }, [one.device, one.medium].filter(Boolean).join(", ")),
  " ", h("span", { class: one.purchases ? "spent some" : "spent" }, one.purchases ? format.money(one.revenue, one.currency) : format.DASH),
  " ", status(one.status));
