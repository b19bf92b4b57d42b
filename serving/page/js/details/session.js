// One session as a timeline.

import { query } from "../api.js";
import { openDetail } from "../dialog.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { eventLink } from "./event.js";

export const title = "Session";
export const needs = "personal";

const SESSION = `
query Session($id: ID!) {
  session(id: $id) {
    id sessionId userId startedAt endedAt duration status events views adds purchases revenue currency bounced
    device browser os medium campaign referrerSource campaignSource bot botScore botReason lateEvents revision
    path { at action productId page eventId }
  }
}`;

export async function load(id) {
  const { session } = await query(SESSION, { id });
  if (!session) return h("p", { class: "empty" }, "This session is no more: a late event joined it to another. Close, and look in the list.");
  const hidden = session.events - session.path.length;
  return [
    h("p", {}, status(session.status), session.bot ? h("span", { class: "pill warn" }, `Bot, ${session.botScore} of 100: ${format.words(session.botReason ?? "")}`) : null),
    h("dl", { class: "facts" }, facts(session).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
    h("ol", { class: "timeline" }, session.path.map((step) => entry(step, Date.parse(session.startedAt)))),
    hidden > 0 ? h("p", { class: "muted" }, `and ${format.number(hidden)} more: a session keeps its first ${session.path.length} events`) : null,
  ];
}

export const status = (name) => h("span", { class: `pill ${name.toLowerCase()}` }, format.words(name));

/** How long a session went on. One event so far is not a bounce before the session is over. */
export function effort(session) {
  if (!session.bounced) return format.span(format.seconds(session.duration));
  return session.status === "COMPLETED" ? "bounced" : "so far";
}

function facts(session) {
  const came = [session.medium, session.campaignSource ?? session.referrerSource, session.campaign].filter(Boolean).join(" · ");
  return [
    ["User", h("button", { type: "button", class: "link", onclick: () => openDetail("user", session.userId) }, session.userId)],
    ["Session id", session.sessionId],
    ["Started", format.dateTime(session.startedAt)],
    ["Duration", effort(session)],
    ["Events", format.number(session.events) + (session.lateEvents ? `, ${format.number(session.lateEvents)} late` : "")],
    ["Revenue", format.money(session.revenue, session.currency)],
    ["Came by", came || format.DASH],
    ["With", [session.device, session.browser, session.os].filter(Boolean).join(", ") || format.DASH],
  ];
}

function entry(step, start) {
  const at = Date.parse(step.at);
  const kind = { purchase: "sale", refund: "refund" }[step.action] ?? null;
  return h("li", { class: kind },
    h("time", { datetime: step.at, title: format.dateTime(at) }, at === start ? "start" : `+${format.span((at - start) / 1000)}`),
    h("span", {}, h("b", {}, eventLink(step.eventId, format.words(step.action))), " ", h("span", { class: "sub" }, [step.productId, step.page].filter(Boolean).join(" · "))));
}
