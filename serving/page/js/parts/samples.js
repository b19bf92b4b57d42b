// Events that were refused for one reason: what it means, what to do, and what exactly was sent.

import { requestsButton } from "../details/requests.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { lacks } from "../key.js";

const MOST = 5;
const FIELDS = "id receivedAt source reason pointer detail contentType eventId raw rawEncoding truncated";
const LOG_FIELDS = "topic partition offset epoch logTime reason raw rawEncoding";

/** A reason as it is in the address: the quarantine's apart from the gateway's. */
export const keyOf = (where, reason) => (where === "log" ? `log-${reason}` : reason);

/** What to ask of the API for the newest events of a reason by its key, and of a source if one is chosen: { variables, fields, values }. */
export function asked(key, source) {
  if (key?.startsWith("log-")) {
    return { variables: "$reason: String, ", fields: `quarantineSamples(first: ${MOST}, reason: $reason) { ${LOG_FIELDS} }`, values: { reason: key.slice("log-".length) } };
  }
  if (!key) return { variables: "", fields: "", values: {} };
  return { variables: "$reason: String, $source: String, ", fields: `samples(first: ${MOST}, reason: $reason, source: $source) { ${FIELDS} }`, values: { reason: key, source } };
}

/** `group` is a line of the reasons, `rejections` the API's answer; `choose(source)` asks for those of one source only, or with null of all. */
export function samples(group, rejections, source, choose) {
  const found = group.where === "log" ? rejections.quarantineSamples?.map(fromLog) : rejections.samples?.map(fromGateway);
  const of = (name, text) => h("button", { type: "button", class: "quiet", "data-key": `source-${name ?? ""}`, "aria-pressed": String(name === source), onclick: () => choose(name) }, text);
  return h("div", { class: "samples", "data-reason": group.reason },
    h("p", {}, group.meaning), group.remedy && h("p", {}, h("b", {}, "What to do: "), group.remedy),
    group.where === "gateway" && (requestsButton(`replay:${group.reason}`, "Send them again …")
      ?? h("p", { class: "muted" }, "To send them again, mended or as they are: ", h("code", {}, `millrace rejected replay --reason ${group.reason}`))),
    found && group.sources.length > 1 && h("div", { class: "sources", role: "group", "aria-label": "Source" }, of(null, "All sources"), group.sources.map((name) => of(name, name))),
    !found ? h("p", { class: "muted" }, lacks("personal")) : found.length ? found.map(sample) : h("p", { class: "muted" }, "None of them came in this range."));
}

const fromGateway = (one) => ({ ...one, at: one.receivedAt, from: one.source, where: one.pointer || "the whole event" });
const fromLog = (one) => ({ ...one, id: `${one.topic}-${one.partition}-${one.offset}`, at: one.logTime, from: `${one.topic} ${one.partition} / ${one.offset}`, where: `epoch ${format.number(one.epoch)}`, detail: "" });

const sample = (one) => h("details", { class: "sample", "data-key": `sample-${one.id}` },
  h("summary", { "data-key": `summary-${one.id}` }, h("time", { datetime: one.at }, format.dateTime(one.at)), h("span", {}, one.from), h("code", {}, one.where), h("span", { class: "muted" }, one.detail)),
  h("pre", { tabindex: "0", "data-key": `sent-${one.id}`, role: "region", "aria-label": `What was sent at ${format.dateTime(one.at)}` },
    h("code", {}, one.raw + (one.truncated ? "\n… (only the beginning was kept)" : ""))),
  one.rawEncoding === "BASE64" ? h("p", { class: "sub" }, "In base64: the bytes are no text.") : null);
