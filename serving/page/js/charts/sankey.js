// Journeys as a Sankey diagram: a column for each place, a band for each way from step to step.

import * as format from "../format.js";
import { moved } from "../parts/compare.js";
import { color, palette, text, tip, tipBox } from "./chart.js";

/** `nodes` and `transitions` of a journey with places, as the API gives them; with what they were where they are `compared`. */
export function sankey(chart, { nodes, transitions, journeys }, describe, compared = null) {
  const key = (place, label) => `${place} ${label}`;
  const known = new Set(nodes.map((one) => key(one.place, one.label)));
  // A band needs both ends: the API cuts the two lists each by itself.
  const links = transitions
    .map((one) => ({ source: key(one.place, one.from), target: key(one.place + 1, one.to), value: one.count, one }))
    .filter(({ source, target }) => known.has(source) && known.has(target));
  const labels = [...new Set(nodes.map((one) => one.label))];
  const colors = palette();
  const fill = (label) => colors[Math.min(labels.indexOf(label), colors.length - 1)];
  const most = Math.max(...nodes.map((one) => one.visits)); // a band too thin for its name shows it in the tooltip
  const before = (now, then) => (compared ? [[compared.label, then === undefined ? "none" : `${format.number(then)}, ${moved(now, then)}`]] : []);
  const last = Math.max(...nodes.map((one) => one.place));
  chart.draw(`Journeys: ${format.number(journeys)} sessions, most begin with ${describe(nodes.find((one) => one.place === 1)?.label ?? "")}`, {
    tooltip: {
      ...tipBox(),
      trigger: "item",
      formatter: ({ dataType, data }) => (dataType === "edge"
        ? tip(`${describe(data.one.from)} → ${describe(data.one.to)}`, [
          ["times", format.number(data.one.count)], ...before(data.one.count, data.one.previous?.count), ["sessions", format.number(data.one.sessions)], ["of the visits", format.percent(data.one.share)]])
        : tip(describe(data.node.label), [
          ["visits", format.number(data.node.visits)], ...before(data.node.visits, data.node.previous?.visits), ["began here", format.number(data.node.entries)],
          ["ended here", `${format.number(data.node.exits)}, ${format.percent(data.node.exitRate)}`]])),
    },
    series: [{
      type: "sankey", left: 2, right: 120, top: 8, bottom: 8, nodeWidth: 12, nodeGap: 14, draggable: false, layoutIterations: 24,
      emphasis: { focus: "adjacency" },
      label: { ...text(), color: color("--ink"), fontSize: 12, width: 108, overflow: "truncate", rich: { by: { ...text(), fontSize: 11 } },
        formatter: ({ data }) => (data.value > 0.02 * most ? `${describe(data.node.label)}${compared ? ` {by|${moved(data.node.visits, data.node.previous?.visits) ?? "new"}}` : ""}` : "") },
      lineStyle: { color: "source", opacity: 0.24, curveness: 0.5 },
      data: nodes.map((node) => ({ name: key(node.place, node.label), node, depth: node.place - 1, value: node.visits,
        itemStyle: { color: fill(node.label), borderWidth: 0 }, label: node.place === last ? { position: "right" } : {} })),
      links,
    }],
  });
}
