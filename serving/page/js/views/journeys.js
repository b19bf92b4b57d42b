// Where sessions enter, how they go on, where they leave.

import { AS_OF, query } from "../api.js";
import { Chart } from "../charts/chart.js";
import { sankey } from "../charts/sankey.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { beside, chosen, compareChoice, noted } from "../parts/compare.js";
import { choice, panel, segmented } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Journeys";
export const ranges = ["1h", "6h", "today", "24h", "7d", "30d"];
export const usual = "6h";

const DEPTHS = ["3", "4", "5", "6", "8"];
const JOURNEYS = `
query Journeys($range: TimeRange!, $by: JourneyStep!, $depth: Int!, $bots: BotFilter!, $earlier: Earlier) {
  ${AS_OF}
  flow: journeys(range: $range, by: $by, depth: $depth, first: 60, bots: $bots, compareWith: $earlier) {
    journeys cut previous { journeys }
    nodes { place label visits sessions entries exits exitRate previous { visits } }
    transitions { place from to count sessions share previous { count } }
  }
  all: journeys(range: $range, by: $by, first: 12, bots: $bots, compareWith: $earlier) {
    journeys
    nodes { label visits sessions entryShare exitShare exitRate previous { visits sessions entryShare exitShare exitRate } }
    transitions { from to count sessions share previous { count sessions share } }
  }
}`;

export function build(page) {
  const by = () => (page.parameter("by") === "step" ? "STEP" : "PAGE");
  const depth = () => (DEPTHS.includes(page.parameter("depth")) ? page.parameter("depth") : "5");
  const describe = (label) => (by() === "STEP" ? format.words(label) : label);
  const chart = new Chart("journeys", { tall: true });
  let shown = null;
  const share = (one, field) => beside(shown.compared, one[field], one.previous?.[field], { as: format.percent, change: false });

  const flow = panel({ id: "journeys", title: "The way through the shop", chart,
    body: h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Diagram of journeys" }, h("div", { class: "flow" }, chart.element)),
    controls: [
      segmented({ id: "by", label: "Follow", options: [["PAGE", "Pages"], ["STEP", "Actions"]], value: by(), onchange: (value) => page.choose({ by: value === "STEP" ? "step" : null }) }),
      choice({ id: "depth", label: "first", value: depth(), onchange: (value) => page.choose({ depth: value === "5" ? null : value }), options: DEPTHS.map((n) => [n, `${n} places`]) }),
      compareChoice(page, "compare"),
    ],
    csv: () => [["place", "from", "to", "count", "count_before", "sessions", "share"], shown.flow.transitions.map((one) => [one.place, one.from, one.to, one.count, one.previous?.count, one.sessions, one.share])] });

  const steps = new Table({ id: "journey-steps", label: "Steps", columns: [
    { key: "label", label: "Step", header: true, cell: (one) => h("span", { class: "name" }, describe(one.label)) },
    { key: "visits", label: "Visits", num: true, cell: (one) => beside(shown.compared, one.visits, one.previous?.visits) },
    { key: "entry", label: "Begin here", num: true, hint: "Share of all journeys", cell: (one) => share(one, "entryShare") },
    { key: "exit", label: "End here", num: true, spare: true, hint: "Share of all journeys", cell: (one) => share(one, "exitShare") },
    { key: "rate", label: "Exit rate", num: true, hint: "Share of its visits that were the last", cell: (one) => share(one, "exitRate") },
  ] });
  const ways = new Table({ id: "journey-ways", label: "Transitions", columns: [
    { key: "way", label: "From", header: true, cell: (one) => h("span", { class: "name" }, describe(one.from)) },
    { key: "to", label: "To", cell: (one) => describe(one.to) },
    { key: "count", label: "Times", num: true, cell: (one) => beside(shown.compared, one.count, one.previous?.count) },
    { key: "share", label: "Share", num: true, hint: "Of the visits of the step it leaves", cell: (one) => share(one, "share") },
  ] });
  const stepPanel = panel({ id: "journey-steps", title: "Where they begin and end", size: "half", body: steps.element,
    csv: () => [["step", "visits", "visits_before", "sessions", "sessions_before", "entry_share", "exit_share", "exit_rate"],
      shown.all.nodes.map((one) => [one.label, one.visits, one.previous?.visits, one.sessions, one.previous?.sessions, one.entryShare, one.exitShare, one.exitRate])] });
  const wayPanel = panel({ id: "journey-ways", title: "What follows what", size: "half", body: ways.element,
    csv: () => [["from", "to", "count", "count_before", "sessions", "sessions_before", "share"],
      shown.all.transitions.map((one) => [one.from, one.to, one.count, one.previous?.count, one.sessions, one.previous?.sessions, one.share])] });

  stepPanel.note("/p/* is every page under /p/");

  return {
    elements: [h("div", { class: "grid" }, flow.element, stepPanel.element, wayPanel.element)],

    async load() {
      const { range } = page;
      const compared = chosen(page);
      const data = await query(JOURNEYS, { range: periods.iso(range), by: by(), depth: Number(depth()), bots: page.bots, earlier: compared?.api ?? null });
      return { ...data, compared, label: range.label };
    },

    draw(data) {
      shown = data;
      const cut = data.flow.cut ? `; ${format.number(data.flow.cut)} went on beyond 50 events` : "";
      flow.note(noted(`${format.number(data.flow.journeys)} sessions, ${data.label}${cut}`, data.compared, data.flow.journeys, data.flow.previous?.journeys));
      const none = data.flow.nodes.length ? null
        : "No sessions to follow in this range. Choose a longer one, or follow actions: pages need events with a page’s address.";
      for (const one of [flow, stepPanel, wayPanel]) one.empty(none);
      if (none === null) sankey(chart, data.flow, describe, data.compared);
      steps.rows(data.all.nodes);
      ways.rows(data.all.transitions);
    },

    dispose() { chart.dispose(); },
  };
}
