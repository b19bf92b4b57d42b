// Alerts: how many are open, and one as people read it.

import { $, h, setText } from "../dom.js";
import * as format from "../format.js";

/** The number beside the view's name; those that somebody sees to are not counted. */
export function showOpenAlerts(open) {
  const waiting = open.filter((one) => !one.acknowledgedAt);
  const badge = $("alerts-open");
  badge.hidden = waiting.length === 0;
  badge.dataset.level = waiting.some((one) => one.severity === "CRITICAL") ? "red" : "amber";
  setText(badge, String(waiting.length));
  badge.title = `${waiting.length} open, nobody sees to them`;
}

const KINDS = { DATA: "The data", SHOP: "The shop" };

/** `explanation` is the alert that explains it, if one does; `acknowledge` is called by its button. */
export function alertItem(alert, explanation, acknowledge) {
  const state = alert.resolvedAt ? "resolved" : alert.acknowledgedAt ? "seen" : "open";
  return h("li", { class: "alert", "data-key": alert.key, "data-state": state, "data-severity": alert.severity },
    h("header", {},
      h("span", { class: `pill ${alert.resolvedAt ? "" : alert.severity === "CRITICAL" ? "bad" : "warn"}` }, format.words(alert.severity)),
      h("h3", {}, alert.title), h("span", { class: "sub" }, KINDS[alert.kind]), when(alert)),
    h("ul", { class: "members" }, alert.members.map((one) => h("li", {}, one.subject && h("b", {}, one.subject), one.subject && " ", one.says))),
    explanation && h("p", { class: "muted" }, `Explained by “${explanation.title}”: nobody was notified of this one.`),
    h("footer", {}, alert.acknowledgedBy
      ? h("p", { class: "seen" }, `${alert.acknowledgedBy} sees to it since ${format.dayTime(alert.acknowledgedAt)}`)
      : !alert.resolvedAt && h("button", { type: "button", class: "plain", "data-key": `ack-${alert.id}`, onclick: acknowledge }, "Acknowledge"),
    alert.deliveries.length ? deliveries(alert) : null));
}

function when({ openedAt, resolvedAt }) {
  const seconds = (Date.parse(resolvedAt ?? new Date().toISOString()) - Date.parse(openedAt)) / 1000;
  return h("span", { class: "when" }, `${format.dayTime(openedAt)}, ${resolvedAt ? "lasted" : "for"} ${format.span(seconds)}`);
}

const deliveries = ({ id, deliveries: all }) => h("details", { "data-key": `deliveries-${id}` },
  h("summary", { class: "sub", "data-key": `told-${id}` }, `${format.number(all.filter((one) => one.deliveredAt).length)} of ${format.number(all.length)} notices delivered`),
  h("ul", {}, all.map((one) => h("li", { class: "sub" }, `${one.destination}, ${one.event.toLowerCase()}: `,
    one.deliveredAt ? `delivered ${format.dateTime(one.deliveredAt)}` : one.droppedAt ? `not sent: ${one.error}` : `tried ${one.attempts} times${one.error ? `: ${one.error}` : ""}`))));
