// How far sessions get, where they stop, and who they are.

import { AS_OF, query } from "../api.js";
import { h, redraw, show } from "../dom.js";
import * as format from "../format.js";
import { chosen as comparedWith, compareChoice, noted } from "../parts/compare.js";
import { choice, panel, segmented } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";
import { addressOf } from "../url.js";

export const title = "Funnel";
export const ranges = ["1h", "6h", "today", "24h", "7d", "30d"];
export const usual = "24h";

const STEPS = {
  VIEW: "Viewed something", PAGE_VIEW: "Viewed a page", PRODUCT_VIEW: "Viewed a product", SEARCH: "Searched", CLICK: "Clicked", SCROLL: "Scrolled",
  ADD_TO_CART: "Filled a cart", REMOVE_FROM_CART: "Took from a cart", CHECKOUT_START: "Began a checkout", PURCHASE: "Bought", REFUND: "Was refunded",
  OTHER: "Did something else",
};
const USUAL = ["VIEW", "ADD_TO_CART", "CHECKOUT_START", "PURCHASE"];
const MOST_STEPS = 10;
const BREAKDOWNS = [["CATEGORY", "Category"], ["DEVICE", "Device"], ["MEDIUM", "Medium"], ["SOURCE", "Source"]];

const STEPS_OF = "steps { action sessions shareOfFirst shareOfPrevious medianTime }";
const SEGMENT = `segments { segment sessions ${STEPS_OF} }`;
const CARTS = "additions bought abandoned open rate";
const FUNNEL = `
query Funnel($range: TimeRange!, $breakdown: FunnelBreakdown!, $steps: [FunnelAction!], $bots: BotFilter!, $earlier: Earlier) {
  ${AS_OF}
  whole: funnel(range: $range, steps: $steps, bots: $bots, compareWith: $earlier) { isFinal segments { segment sessions ${STEPS_OF} previous { sessions ${STEPS_OF} } } }
  parts: funnel(range: $range, breakdown: $breakdown, steps: $steps, first: 12, bots: $bots) { ${SEGMENT} }
  cartAbandonment(range: $range, bots: $bots, first: 10) { within ${CARTS} products { productId ${CARTS} } }
}`;

export function build(page) {
  const breakdown = () => BREAKDOWNS.find(([name]) => name.toLowerCase() === page.parameter("split"))?.[0] ?? "CATEGORY";
  // Of the address only what is an action counts; without any it is the usual way, which is read without the paths.
  const chosen = () => (page.parameter("steps") ?? "").toUpperCase().split(",").filter((name) => name in STEPS).slice(0, MOST_STEPS);
  const wanted = () => (chosen().length ? chosen() : USUAL);
  const steps = h("ol", { class: "funnel", id: "funnel" });
  const editor = h("div", { class: "filters", id: "steps" });
  const byParts = h("div");
  let shown = null;
  let table = null;

  const rows = (funnel) => funnel.segments.flatMap(({ segment, steps: all }) => all.map((one) =>
    [segment, one.action, one.sessions, one.shareOfFirst, one.shareOfPrevious, format.seconds(one.medianTime)]));
  const header = ["segment", "step", "sessions", "share_of_first", "share_of_previous", "median_seconds"];
  const whole = panel({ id: "funnel", title: "Step by step", body: steps, csv: () => [header, rows(shown.whole)], controls: [compareChoice(page, "compare")] });

  const tableOf = (actions) => new Table({ id: "segments", label: "Funnel by segment", columns: [
    { key: "segment", label: "Segment", header: true, cell: (one) => h("span", { class: one.segment ? "name" : "sub" }, one.segment ?? "not said") },
    { key: "sessions", label: "Sessions", num: true, cell: (one) => format.number(one.sessions) },
    ...actions.slice(1).map((action, index) => ({
      key: `${index}-${action}`, label: STEPS[action], num: true, spare: index < actions.length - 2, hint: `Share of the sessions of the first step: ${STEPS[actions[0]]}`,
      cell: (one) => heat(one.steps[index + 1], shown.parts.segments.map((other) => other.steps[index + 1])),
    })),
    { key: "time", label: actions === USUAL ? "Time to buy" : "Time", num: true, spare: true, hint: "Median from the first step to the last", cell: (one) => format.span(format.seconds(one.steps.at(-1).medianTime)) },
  ] });
  const parts = panel({ id: "segments", title: "By segment", body: byParts, csv: () => [header, rows(shown.parts)],
    controls: [segmented({ id: "split", label: "Split by", options: BREAKDOWNS, value: breakdown(), onchange: (value) => page.choose({ split: value === "CATEGORY" ? null : value.toLowerCase() }) })] });

  const change = (actions) => page.choose({ steps: actions.join() === USUAL.join() ? null : actions.join().toLowerCase() });
  function drawEditor(actions) {
    show(editor,
      actions.map((action, index) => h("span", { class: "step-choice" },
        choice({ id: `step-${index}`, label: `Step ${index + 1}`, options: Object.entries(STEPS), value: action, onchange: (name) => change(actions.with(index, name)) }),
        actions.length > 1 && h("button", { type: "button", class: "quiet", "data-key": `step-${index}`, "aria-label": `Leave out step ${index + 1}`, onclick: () => change(actions.toSpliced(index, 1)) }, "×"))),
      actions.length < MOST_STEPS && h("button", { type: "button", class: "plain", id: "step-add", "data-key": "add", onclick: () => change([...actions, "PURCHASE"]) }, "Add a step"),
      chosen().length > 0 && h("button", { type: "button", class: "quiet", id: "step-usual", "data-key": "usual", onclick: () => change(USUAL) }, "The usual steps"));
  }

  const left = new Table({ id: "carts", label: "Left in carts", columns: [
    { key: "product", label: "Product", header: true, cell: (one) => h("a", { class: "name", "data-key": one.productId, href: addressOf("/products", { also: one.productId }) }, one.productId) },
    { key: "additions", label: "Added", num: true, spare: true, cell: (one) => format.number(one.additions) },
    { key: "bought", label: "Bought", num: true, cell: (one) => format.number(one.bought) },
    { key: "abandoned", label: "Left", num: true, cell: (one) => format.number(one.abandoned) },
    { key: "rate", label: "Share left", num: true, hint: "Of those that were bought or left; those still open are not counted", cell: (one) => format.percent(one.rate) },
  ] });
  const carts = panel({ id: "carts", title: "Left in carts", body: left.element,
    csv: () => [["product", "additions", "bought", "abandoned", "open", "rate"], shown.cartAbandonment.products.map((one) => [one.productId, one.additions, one.bought, one.abandoned, one.open, one.rate])] });

  return {
    elements: [editor, h("div", { class: "grid" }, whole.element, parts.element, carts.element)],

    async load() {
      const { range } = page;
      const actions = wanted();
      const compared = comparedWith(page);
      const data = await query(FUNNEL, { range: periods.iso(range), breakdown: breakdown(), steps: chosen().length ? actions : null, bots: page.bots, earlier: compared?.api ?? null });
      return { ...data, actions, compared, label: range.label };
    },

    draw(data) {
      const same = shown?.actions.join() === data.actions.join();
      shown = data;
      if (!same) {
        drawEditor(data.actions);
        table = tableOf(data.actions);
        show(byParts, table.element);
      }
      const [all] = data.whole.segments;
      const none = all.sessions ? null : "No sessions began in this range. Choose a longer one, or count bots, too.";
      whole.note(noted(`${format.number(all.sessions)} sessions, ${data.label}${data.whole.isFinal ? "" : "; some still go on"}`, data.compared, all.sessions, all.previous?.sessions));
      whole.empty(none);
      parts.empty(none);
      redraw(steps, all.steps.map((one, index) => step(one, all.steps[index - 1], data.compared, all.previous?.steps[index])));
      parts.note(`share of those of the first step: ${STEPS[data.actions[0]].toLowerCase()}`);
      table.rows(data.parts.segments);
      const { additions, abandoned, open, rate, within, products } = data.cartAbandonment;
      carts.note(`${format.number(abandoned)} of ${format.number(additions)} not bought within ${format.seconds(within) / 60} minutes${rate === null ? "" : ` (${format.percent(rate)})`}${open ? `; ${format.number(open)} may be yet` : ""}`);
      carts.empty(products.length ? null : additions ? "Nothing was left in a cart so far." : "Nothing was put into a cart in this range.");
      left.rows(products);
    },
  };
}

/** `earlier` is the same step in the period that it is `compared` with. */
function step(one, before, compared, earlier) {
  const lost = before ? before.sessions - one.sessions : 0;
  return h("li", { "data-step": one.action },
    h("div", { class: "step-name" }, h("b", {}, STEPS[one.action] ?? format.words(one.action)),
      before && h("span", { class: "sub" }, one.medianTime ? `median ${format.span(format.seconds(one.medianTime))}` : ""),
      compared && h("span", { class: "sub earlier" }, `${compared.label} ${format.number(earlier?.sessions ?? 0)}, ${format.percent(earlier?.shareOfFirst)}`)),
    h("div", { class: "step-bar" },
      h("span", { class: "bar-fill", "--share": `${(one.shareOfFirst ?? 0) * 100}%`, "aria-hidden": "true" }),
      compared && h("span", { class: "bar-then", "--share": `${(earlier?.shareOfFirst ?? 0) * 100}%`, "aria-hidden": "true" }),
      h("span", { class: "bar-text" }, h("b", {}, format.number(one.sessions)), " ", h("span", {}, format.percent(one.shareOfFirst)))),
    before && h("div", { class: "step-loss" }, lost ? [h("b", {}, `−${format.number(lost)}`), ` ${format.percent(1 - one.shareOfPrevious)} went no further`] : "all went on"));
}

// The best of a column is the darkest: what stands out is what a reader looks for.
function heat(one, column) {
  const top = Math.max(...column.map((other) => other.shareOfFirst ?? 0)) || 1;
  return h("span", { class: "heat", "--heat": `${((one.shareOfFirst ?? 0) / top) * 28}%`, title: `${format.number(one.sessions)} sessions` }, format.percent(one.shareOfFirst));
}
