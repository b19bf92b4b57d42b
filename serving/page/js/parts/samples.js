// Events that were refused for one reason: what it means, what to do, and what exactly was sent.

import { requestsButton } from "../details/requests.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { lacks } from "../key.js";

const MOST = 5;

/** `group` is a line of the reasons, `rejections` the API's answer; the newest few are shown. */
export function samples(group, rejections) {
  const told = group.where === "log" ? rejections.quarantineSamples?.map(fromLog) : rejections.samples?.map(fromGateway);
  const found = told?.filter((one) => one.reason === group.reason);
  return h("div", { class: "samples", "data-reason": group.reason },
    h("p", {}, group.meaning), group.remedy && h("p", {}, h("b", {}, "What to do: "), group.remedy),
    group.where === "gateway" && (requestsButton(`replay:${group.reason}`, "Send them again …")
      ?? h("p", { class: "muted" }, "To send them again, mended or as they are: ", h("code", {}, `millrace rejected replay --reason ${group.reason}`))),
    !found ? h("p", { class: "muted" }, lacks("personal")) : found.length ? found.slice(0, MOST).map(sample) : h("p", { class: "muted" }, "None of them is among the newest that were kept for this page."));
}

samples.FIELDS = "id receivedAt source reason pointer detail contentType eventId raw rawEncoding truncated";

const fromGateway = (one) => ({ ...one, at: one.receivedAt, from: one.source, where: one.pointer || "the whole event" });
const fromLog = (one) => ({ ...one, at: one.logTime, from: `${one.topic} ${one.partition} / ${one.offset}`, where: `epoch ${format.number(one.epoch)}`, detail: "" });

const sample = (one) => h("details", { class: "sample" },
  h("summary", {}, h("time", { datetime: one.at }, format.dateTime(one.at)), h("span", {}, one.from), h("code", {}, one.where), h("span", { class: "muted" }, one.detail)),
  h("pre", { tabindex: "0", role: "region", "aria-label": `What was sent at ${format.dateTime(one.at)}` },
    h("code", {}, one.raw + (one.truncated ? "\n… (only the beginning was kept)" : ""))),
  one.rawEncoding === "BASE64" ? h("p", { class: "sub" }, "In base64: the bytes are no text.") : null);
