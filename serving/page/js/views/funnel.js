// How far sessions get, where they stop, and who they are.

import { AS_OF, query } from "../api.js";
import { h, show } from "../dom.js";
import * as format from "../format.js";
import { panel, segmented } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Funnel";
export const ranges = ["1h", "6h", "today", "24h", "7d", "30d"];
export const usual = "24h";

const STEPS = { VIEW: "Viewed something", ADD_TO_CART: "Filled a cart", CHECKOUT_START: "Began a checkout", PURCHASE: "Bought" };
const BREAKDOWNS = [["CATEGORY", "Category"], ["DEVICE", "Device"], ["MEDIUM", "Medium"], ["SOURCE", "Source"]];

const SEGMENT = "segments { segment sessions steps { action sessions shareOfFirst shareOfPrevious medianTime } }";
const FUNNEL = `
query Funnel($range: TimeRange!, $breakdown: FunnelBreakdown!, $bots: BotFilter!) {
  ${AS_OF}
  whole: funnel(range: $range, bots: $bots) { isFinal ${SEGMENT} }
  parts: funnel(range: $range, breakdown: $breakdown, first: 12, bots: $bots) { ${SEGMENT} }
}`;

const stepName = (action) => STEPS[action] ?? format.words(action);

export function build(page) {
  const breakdown = () => BREAKDOWNS.find(([name]) => name.toLowerCase() === page.parameter("split"))?.[0] ?? "CATEGORY";
  const steps = h("ol", { class: "funnel", id: "funnel" });
  let shown = null;

  const rows = (funnel) => funnel.segments.flatMap(({ segment, steps: all }) => all.map((one) =>
    [segment, one.action, one.sessions, one.shareOfFirst, one.shareOfPrevious, format.seconds(one.medianTime)]));
  const header = ["segment", "step", "sessions", "share_of_first", "share_of_previous", "median_seconds"];
  const whole = panel({ id: "funnel", title: "From view to purchase", body: steps, csv: () => [header, rows(shown.whole)] });

  const table = new Table({ id: "segments", label: "Funnel by segment", columns: [
    { key: "segment", label: "Segment", header: true, cell: (one) => h("span", { class: one.segment ? "name" : "sub" }, one.segment ?? "not said") },
    { key: "sessions", label: "Sessions", num: true, cell: (one) => format.number(one.sessions) },
    ...Object.keys(STEPS).slice(1).map((action, index) => ({
      key: action, label: STEPS[action], num: true, spare: index < 2, hint: "Share of the sessions that viewed something",
      cell: (one) => heat(one.steps[index + 1], shown.parts.segments.map((other) => other.steps[index + 1])),
    })),
    { key: "time", label: "Time to buy", num: true, spare: true, hint: "Median from the first view to the purchase", cell: (one) => format.span(format.seconds(one.steps.at(-1).medianTime)) },
  ] });
  const parts = panel({ id: "segments", title: "By segment", body: table.element, csv: () => [header, rows(shown.parts)],
    controls: [segmented({ id: "split", label: "Split by", options: BREAKDOWNS, value: breakdown(), onchange: (value) => page.choose({ split: value === "CATEGORY" ? null : value.toLowerCase() }) })] });

  return {
    elements: [h("div", { class: "grid" }, whole.element, parts.element)],

    async load() {
      const { range } = page;
      const data = await query(FUNNEL, { range: periods.iso(range), breakdown: breakdown(), bots: page.bots });
      return { ...data, label: range.label };
    },

    draw(data) {
      shown = data;
      const [all] = data.whole.segments;
      const none = all.sessions ? null : "No sessions began in this range. Choose a longer one, or count bots, too.";
      whole.note(`${format.number(all.sessions)} sessions, ${data.label}${data.whole.isFinal ? "" : "; some still go on"}`);
      whole.empty(none);
      parts.empty(none);
      show(steps, all.steps.map((one, index) => step(one, all.steps[index - 1])));
      parts.note("share of those who viewed something");
      table.rows(data.parts.segments);
    },
  };
}

function step(one, before) {
  const lost = before ? before.sessions - one.sessions : 0;
  return h("li", { "data-step": one.action },
    h("div", { class: "step-name" }, h("b", {}, stepName(one.action)),
      before && h("span", { class: "sub" }, one.medianTime ? `median ${format.span(format.seconds(one.medianTime))}` : "")),
    h("div", { class: "step-bar" },
      h("span", { class: "bar-fill", "--share": `${(one.shareOfFirst ?? 0) * 100}%`, "aria-hidden": "true" }),
      h("span", { class: "bar-text" }, h("b", {}, format.number(one.sessions)), " ", h("span", {}, format.percent(one.shareOfFirst)))),
    before && h("div", { class: "step-loss" }, lost ? [h("b", {}, `−${format.number(lost)}`), ` ${format.percent(1 - one.shareOfPrevious)} went no further`] : "all went on"));
}

// The best of a column is the darkest: what stands out is what a reader looks for.
function heat(one, column) {
  const top = Math.max(...column.map((other) => other.shareOfFirst ?? 0)) || 1;
  return h("span", { class: "heat", "--heat": `${((one.shareOfFirst ?? 0) / top) * 28}%`, title: `${format.number(one.sessions)} sessions` }, format.percent(one.shareOfFirst));
}
