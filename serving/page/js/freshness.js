// How fresh the page is, in one word and one colour, and what to do when it is not.

import { $, h, redraw, setText } from "./dom.js";
import * as format from "./format.js";

const AMBER_SECONDS = 15;
const RED_SECONDS = 60;
const LOCKED = new Set(["UNAUTHENTICATED", "FORBIDDEN"]); // what to do then is told where the numbers would be

const state = { connection: "connecting", asOf: null, heardAt: 0, error: null };

/** The newest commit, and with it the age of the newest event at this moment. */
export function heard(asOf) {
  if (state.asOf && asOf.epoch < state.asOf.epoch) return;
  Object.assign(state, { asOf, heardAt: performance.now() });
  tick();
}

/** How the page is connected: "live", "polling" or "down". */
export function connection(kind, error = null) {
  Object.assign(state, { connection: kind, error });
  tick();
}

/** The details close like any menu: by Escape, or by a click elsewhere. */
export function build() {
  document.addEventListener("click", (event) => { if (!$("fresh").contains(event.target)) $("fresh").open = false; });
  $("fresh").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !$("fresh").open) return;
    $("fresh").open = false;
    $("fresh").querySelector("summary").focus();
  });
  setInterval(tick, 1000);
}

/** Redraw; called each second, since age grows by itself. */
export function tick() {
  const age = state.asOf ? format.seconds(state.asOf.lag) + (performance.now() - state.heardAt) / 1000 : null;
  const [level, label, advice] = verdict(age);
  $("fresh").dataset.level = level;
  setText($("fresh-label"), label);
  setText($("fresh-age"), age === null ? "" : format.span(age));
  const banner = $("banner");
  banner.hidden = !advice;
  banner.dataset.level = level;
  // The age would make a screen reader speak every second; the advice changes only with the state.
  setText(banner, advice ?? "");
  if (state.asOf) facts(age);
}

function verdict(age) {
  if (state.connection === "down" && LOCKED.has(state.error?.code)) return ["unknown", "Locked", null];
  if (state.connection === "down") return ["red", "Disconnected", disconnected()];
  if (age === null) return ["unknown", state.connection === "connecting" ? "Connecting" : "No data yet", null];
  if (age <= AMBER_SECONDS) return ["green", state.connection === "polling" ? "Polling" : "Live", null];
  const level = age > RED_SECONDS ? "red" : "amber";
  const took = format.seconds(state.asOf.freshness);
  if (took > AMBER_SECONDS && age - took <= RED_SECONDS)
    return [level, "Behind", `Processing is behind: the newest event took ${format.span(took)} to be committed. It catches up by itself; “millrace logs processing” tells how.`];
  return level === "amber" ? [level, "Quiet", null] : [level, "Stale", silent()];
}

// The tables look the same whichever of the two stands still, and when nobody sends anything.
const silent = () => `No event was committed for over a minute: the numbers are as of ${format.timeSeconds(state.asOf.committedAt)}. `
  + "If the shop should be busy, see with “millrace status” which part is not ready: events come in by the gateway (“millrace logs gateway”) "
  + "and are committed by processing (“millrace logs processing”).";

function disconnected() {
  const kept = state.asOf ? ` The numbers shown are as of ${format.timeSeconds(state.asOf.committedAt)}.` : "";
  if (state.error?.code === "NOT_READY") return "Processing has not created its tables yet. This page goes on by itself as soon as it has.";
  if (state.error?.code === "UNAVAILABLE") return `The database is not reachable; this page goes on by itself once it is.${kept}`;
  return `The server does not answer; trying again. See “millrace status”.${kept}`;
}

function facts(age) {
  const { asOf } = state;
  const rows = [
    ["Epoch", format.number(asOf.epoch)],
    ["Committed", format.dateTime(asOf.committedAt)],
    ["Newest event", `${format.span(age)} ago`],
    ["Took to commit", format.span(format.seconds(asOf.freshness))],
    ["Final before", asOf.watermark ? format.dateTime(asOf.watermark) : format.DASH],
  ];
  redraw($("fresh-facts"), rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}
