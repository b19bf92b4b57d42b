// A row of single numbers, each with what it is of and, where there is one, what it was before.

import { h, setText } from "../dom.js";

/** `figures` are { id, label }. `update(id, text, { note, trend, value })` sets one; `value` is the API's own, unrounded. */
export class Figures {
  #built = new Map();

  constructor(label, figures) {
    this.element = h("section", { class: "tiles", "aria-label": label });
    for (const { id, label: name, lead, hint } of figures) {
      const value = h("output", { id: `tile-${id}`, class: "value" }, "–");
      const note = h("p", {});
      const trend = h("div", { class: "trend" });
      this.#built.set(id, { value, note, trend });
      this.element.append(h("article", { class: lead ? "tile lead" : "tile", title: hint }, h("h2", {}, name), value, note, trend));
    }
  }

  update(id, text, { note = "", value = null, trend = null, tone = null } = {}) {
    const one = this.#built.get(id);
    setText(one.value, text);
    one.value.dataset.value = value ?? "";
    setText(one.note, note);
    one.note.className = tone ?? "";
    one.trend.replaceChildren(...(trend ? [trend] : []));
  }
}
