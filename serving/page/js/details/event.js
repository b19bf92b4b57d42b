// One event by its id: every record that has it, what was decided about each, and where the one that counts does.

import { query } from "../api.js";
import { openDetail } from "../dialog.js";
import { h } from "../dom.js";
import * as format from "../format.js";

export const title = "Event";
export const needs = "personal";

const EXPLAIN = `
query Explain($id: String!) {
  explain(eventId: $id) {
    eventId verdict unloggedEpochs
    copies { verdict topic partition offset epoch committedAt arrivedAt source reason pointer detail firstEpoch }
    applied {
      timestamp receivedAt logTime action userId productId category page amount currency quantity orderId late imported bot botReason
      inSession { step session { id startedAt events } } conversion { purchase clicks }
    }
  }
}`;

const SAYS = {
  APPLIED: "It counts, once.",
  DUPLICATE: "It came again with the same content; the first one counts.",
  CONFLICT: "It came again with another content; the first one counts. Whoever sends two contents under one id should be told.",
  QUARANTINED: "It is in the log and is no event, so it counts nowhere.",
  REJECTED: "The gateway refused it, so it counts nowhere.",
};
const TONES = { APPLIED: "completed", DUPLICATE: "", CONFLICT: "warn", QUARANTINED: "warn", REJECTED: "warn" };

export async function load(id) {
  const { explain } = await query(EXPLAIN, { id }, { timeoutMs: 35_000 });
  const wait = explain.unloggedEpochs ? ` ${format.number(explain.unloggedEpochs)} epochs are not in the event log yet; ask again in a few seconds.` : "";
  if (explain.verdict === "NEVER_SEEN") {
    return h("p", { class: "empty" }, `No record has the id “${id}”, or its user was erased. Ids are told apart to the letter.${wait}`);
  }
  return [
    explain.applied.map((event) => [h("dl", { class: "facts" }, facts(event).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))))]),
    h("h3", {}, explain.copies.length === 1 ? "Its record" : `Its ${explain.copies.length} records`),
    h("ul", { class: "checks copies", id: "copies" }, explain.copies.map(copy)),
    wait && explain.verdict !== "APPLIED" && h("p", { class: "muted" }, wait),
  ].flat(3);
}

export const eventLink = (id, text = id) => h("button", { type: "button", class: "link", "data-key": `event-${id}`, onclick: () => openDetail("event", id) }, text);

function copy(one) {
  const refused = [one.reason && format.words(one.reason), one.pointer, one.detail].filter(Boolean).join(" · ");
  return h("li", {},
    h("span", { class: `pill ${TONES[one.verdict]}` }, format.words(one.verdict)),
    h("span", {}, SAYS[one.verdict], refused && h("span", { class: "sub" }, ` ${refused}`),
      h("span", { class: "sub" }, ` ${one.topic} ${one.partition} / ${one.offset}, epoch ${format.number(one.epoch)}`,
        one.firstEpoch ? `, first seen in epoch ${format.number(one.firstEpoch)}` : "", one.source ? `, from ${one.source}` : "")),
    h("span", { class: "num sub" }, one.arrivedAt ? format.dateTime(one.arrivedAt) : format.dateTime(one.committedAt)));
}

function facts(event) {
  const { inSession: place, conversion } = event;
  const session = place && h("button", { type: "button", class: "link", onclick: () => openDetail("session", place.session.id) },
    place.step ? `step ${place.step} of ${format.number(place.session.events)}` : "beyond the steps that are kept");
  const links = (ids) => ids.flatMap((id, index) => [index ? ", " : null, eventLink(id)]);
  return [
    ["Action", format.words(event.action)],
    ["At", format.dateTime(event.timestamp)],
    ["User", h("button", { type: "button", class: "link", onclick: () => openDetail("user", event.userId) }, event.userId)],
    ["Session", session ?? format.DASH],
    ["Product", [event.productId, event.category].filter(Boolean).join(" · ") || format.DASH],
    event.page && ["Page", event.page],
    event.amount !== null && ["Amount", `${format.money(event.amount, event.currency)}, ${format.number(event.quantity)} pieces`],
    event.orderId && ["Order", event.orderId],
    conversion?.purchase && ["Led to", links([conversion.purchase])],
    conversion?.clicks.length && ["Came from", links(conversion.clicks)],
    ["Reached us", event.receivedAt ? `${format.span((Date.parse(event.logTime) - Date.parse(event.timestamp)) / 1000)} later` : format.DASH],
    ["Marks", [event.late && "late", event.imported && "sent as history", event.bot && `bot (${format.words(event.botReason ?? "score")})`].filter(Boolean).join(", ") || "none"],
  ].filter(Boolean);
}
