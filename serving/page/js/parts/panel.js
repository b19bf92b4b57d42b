// A panel: a titled box whose numbers can be taken along.

import { saveCsv, savePng } from "../export.js";
import { h, setText, show } from "../dom.js";
import { color } from "../charts/chart.js";
import { lacks } from "../key.js";

/**
 * `body` is what it shows. `csv()` gives [header, rows] of what is shown, `chart` the Chart to save as a picture;
 * `controls` stand in the header. `note(text)` says what the numbers are of, `empty(message)` shows that there are none,
 * `locked(scope)` that the key lacks what it needs.
 */
export function panel({ id, title, size = "full", body, csv = null, chart = null, controls = [] }) {
  const note = h("p", { class: "note" });
  const none = h("div", { class: "empty", hidden: true });
  const name = () => `millrace-${id}-${new Date().toISOString().slice(0, 16).replaceAll(":", "")}`;
  const tools = h("div", { class: "tools" },
    csv && h("button", { type: "button", class: "quiet", "data-export": "csv", title: `Save “${title}” as CSV`, onclick: () => saveCsv(name(), ...csv()) }, "CSV"),
    chart && h("button", {
      type: "button", class: "quiet", "data-export": "png", title: `Save “${title}” as a picture`,
      onclick: () => savePng(name(), chart.canvas(), {
        title, note: note.textContent, ink: color("--ink"), muted: color("--muted"), background: color("--panel"), font: color("--font"),
      }),
    }, "PNG"));
  const tooled = h("div", { class: "panel-controls" }, controls, tools);
  const element = h("section", { class: `panel ${size}`, id: `panel-${id}`, "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, title), note, tooled),
    body, none);
  /** Say what is missing and what to do; null shows the body again. */
  const empty = (message) => {
    none.hidden = message === null;
    for (const one of [body].flat()) one.hidden = message !== null;
    tools.hidden = message !== null;
    tooled.hidden = false;
    if (message !== null) show(none, [message].flat());
  };
  return {
    element,
    note: (text) => setText(note, text),
    empty,
    locked(scope) {
      empty(lacks(scope));
      tooled.hidden = true;
    },
  };
}

/** A labelled choice of a few: `options` is [[value, label]…]. */
export function choice({ id, label, options, value, onchange }) {
  const select = h("select", { id, onchange: (event) => onchange(event.target.value) },
    options.map(([name, text]) => h("option", { value: name, selected: name === value }, text)));
  return h("label", { class: "pick" }, h("span", {}, label), select);
}

/** A choice of very few, all in sight; works with the arrow keys as any radio group does. */
export function segmented({ id, label, options, value, onchange }) {
  return h("fieldset", { class: "segmented", id },
    h("legend", { class: "sr" }, label),
    options.map(([name, text]) => h("label", {},
      h("input", { type: "radio", name: id, value: name, checked: name === value, onchange: () => onchange(name) }), h("span", {}, text))));
}
