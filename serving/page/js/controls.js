// Range, time zone and bots: the choices that every view shares.

import { BOTS } from "./choices.js";
import { $, h, show as put } from "./dom.js";
import { choice, segmented } from "./parts/panel.js";
import { PRESETS } from "./ranges.js";
import * as zones from "./zones.js";

const BOT_NAMES = { people: "People only", all: "With bots", bots: "Bots only" };

let choose = () => {};
let shown = "";

/** `onchoose(changes)` is told what to change in the address. */
export function build(onchoose) {
  choose = (name, value) => onchoose({ [name]: value, ...(name === "range" && { from: null, to: null }) });
  build.custom = (from, to) => onchoose({ range: null, from, to });
  document.addEventListener("click", (event) => {
    const open = document.querySelector("#custom[open]");
    if (open && !open.contains(event.target)) open.open = false;
  });
}

/** Show the choices that a view offers: its `ranges`, none when it has no range; bots unless it says not. */
export function show(chosen, { ranges, bots = true }) {
  const key = JSON.stringify([ranges, bots, chosen]);
  if (key === shown) return;
  const focused = document.activeElement?.closest("#controls") ? document.activeElement : null;
  const again = focused && (focused.name ? `[name="${focused.name}"]:checked` : focused.id ? `#${focused.id}` : "#custom summary");
  shown = key;
  put($("controls"),
    ranges && ranges.length ? [
      segmented({ id: "range", label: "Range", options: ranges.map((name) => [name, PRESETS[name].short]), value: chosen.preset, onchange: (value) => choose("range", value) }),
      custom(chosen),
    ] : null,
    choice({ id: "zone", label: "Time zone", value: chosen.zone, onchange: (value) => choose("zone", value === zones.own() ? null : value),
      options: withChosen(zones.all(), chosen.zone).map((zone) => [zone, zone === zones.own() ? `${zone} (here)` : zone]) }),
    bots ? choice({ id: "bots", label: "Count", value: chosen.botsName, onchange: (value) => choose("bots", value === "people" ? null : value),
      options: Object.keys(BOTS).map((name) => [name, BOT_NAMES[name]]) }) : null);
  if (again) $("controls").querySelector(again)?.focus();
}

const withChosen = (all, zone) => (all.includes(zone) ? all : [zone, ...all]);

// From and to on the clock of the chosen zone, whatever the zone of the browser.
function custom({ own, zone }) {
  const field = (at) => new Date(zones.local(at, zone)).toISOString().slice(0, 16);
  const from = h("input", { type: "datetime-local", id: "custom-from", required: true, value: own ? field(own.from) : null });
  const to = h("input", { type: "datetime-local", id: "custom-to", required: true, value: own ? field(own.to) : null });
  const fault = h("p", { class: "fault", role: "alert" });
  const apply = (event) => {
    event.preventDefault();
    const [start, end] = [from, to].map((input) => zones.instant(Date.parse(`${input.value}Z`), zone));
    if (!(start < end)) return fault.replaceChildren("“From” must be before “to”.");
    build.custom(new Date(start).toISOString(), new Date(end).toISOString());
  };
  return h("details", { class: "custom", id: "custom" },
    h("summary", { class: own ? "chosen" : null }, own ? "Chosen range" : "Other …"),
    h("form", { onsubmit: apply },
      h("label", {}, "From", from), h("label", {}, "To", to), h("p", { class: "sub" }, `In ${zone}`), fault,
      h("button", { type: "submit", class: "plain" }, "Show")));
}
