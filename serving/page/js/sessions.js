// The list of sessions, and one session's timeline in a dialog that has its own address.

import { query, SESSION } from "./api.js";
import { $, h, show } from "./dom.js";
import * as format from "./format.js";
import { parameter, setParameter } from "./url.js";

const STATUS = { ACTIVE: "Active", COMPLETED: "Completed" };

export function list(nodes) {
  if (!nodes.length) return show($("sessions"), h("li", { class: "empty" }, "No sessions to show."));
  show($("sessions"), nodes.map((one) => h("li", {},
    h("button", { type: "button", "data-key": one.id, onclick: () => open(one.id) },
      h("span", { class: "who" }, h("span", { class: "name" }, one.userId), h("span", { class: "sub" }, format.timeSeconds(one.startedAt))),
      h("span", { class: "pages" }, h("span", {}, one.entryPage ?? format.DASH), one.events > 1 ? h("span", { class: "sub" }, `→ ${one.exitPage ?? format.DASH}`) : null),
      h("span", { class: "effort" }, `${format.number(one.events)} ${one.events === 1 ? "event" : "events"}`, h("span", { class: "sub" }, effort(one))),
      h("span", { class: one.purchases ? "spent some" : "spent" }, one.purchases ? format.money(one.revenue, one.currency) : format.DASH),
      h("span", { class: `pill ${one.status.toLowerCase()}` }, STATUS[one.status])))));
}

// One event so far is not a bounce before the session is over.
function effort(session) {
  if (!session.bounced) return format.span(session.durationSeconds);
  return session.status === "COMPLETED" ? "bounced" : "so far";
}

/** Wire the dialog up, and open it when the address names a session. */
export function build() {
  const dialog = $("session");
  $("session-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => setParameter("session", null));
  if (parameter("session")) open(parameter("session"));
}

async function open(id) {
  setParameter("session", id);
  const body = $("session-body");
  show(body, h("p", { class: "empty" }, "Loading …"));
  if (!$("session").open) $("session").showModal();
  try {
    const { data } = await query(SESSION, { id });
    show(body, data.session ? timeline(data.session) : h("p", { class: "empty" }, "This session is no more: a late event joined it to another. Close, and look in the list."));
  } catch (error) {
    show(body, h("p", { class: "empty" }, error.message));
  }
}

function timeline(session) {
  const start = Date.parse(session.startedAt);
  const facts = [
    ["User", session.userId], ["Session", session.sessionId], ["Started", format.dateTime(session.startedAt)],
    ["Duration", effort(session)],
    ["Events", format.number(session.events)], ["Revenue", format.money(session.revenue, session.currency)],
  ];
  const hidden = session.events - session.path.length;
  return [
    h("p", {}, h("span", { class: `pill ${session.status.toLowerCase()}` }, STATUS[session.status])),
    h("dl", { class: "facts" }, facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
    h("ol", { class: "timeline" }, session.path.map((step) => h("li", { class: step.action === "purchase" ? "sale" : "" },
      h("time", { datetime: step.at }, Date.parse(step.at) === start ? "start" : `+${format.span((Date.parse(step.at) - start) / 1000)}`),
      h("span", {}, h("b", {}, format.words(step.action)),
        h("span", { class: "sub" }, [step.productId, step.page].filter(Boolean).join(" · ")))))),
    hidden > 0 ? h("p", { class: "muted" }, `and ${format.number(hidden)} more`) : null,
  ];
}
