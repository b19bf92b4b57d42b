// The books: whether every record is accounted for.

import { h, redraw } from "../dom.js";
import * as format from "../format.js";

const NAMES = {
  fates: "One fate per record", offsets: "No offset skipped", gaps: "No gap between epochs",
  minutes: "Minutes add up", log: "Delta log agrees",
};

export function books() {
  const element = h("div", { id: "books" });
  let shown = null;
  return {
    element,
    show(ledger, rejections = null) {
      shown = ledger;
      redraw(element, content(ledger, rejections));
    },
    csv: () => [["check", "meaning", "left", "right", "residue"], (shown?.checks ?? []).map((one) => [one.name, one.meaning, one.left, one.right, one.residue])],
  };
}

function content(ledger, rejections) {
  if (!ledger) return [h("p", { class: "empty" }, "The first commit opens the books.")];
  const { totals } = ledger;
  return [
    h("p", { class: ledger.close ? "verdict good" : "verdict bad", "data-residue": ledger.residue },
      h("span", { class: "mark", "aria-hidden": "true" }, ledger.close ? "✓" : "!"),
      ledger.close ? "The books close: nothing lost, nothing counted twice."
        : `The books do not close: residue ${format.number(ledger.residue)}. Keep the data, and see “books do not close” in the runbook.`),
    h("ul", { class: "checks" }, ledger.checks.map((check) =>
      h("li", { class: check.residue ? "bad" : "good", title: check.meaning },
        h("span", { class: "mark", "aria-hidden": "true" }, check.residue ? "!" : "✓"),
        h("span", {}, NAMES[check.name] ?? format.words(check.name), h("span", { class: "sr" }, check.residue ? " fails" : " holds")),
        h("span", { class: "num" }, check.residue ? `${format.number(check.left)} ≠ ${format.number(check.right)}` : format.number(check.left))))),
    rejections && h("dl", { class: "counts", id: "quality" },
      fact("Refused", rejections.rejected + rejections.quarantined, "in this range: events that the gateway refused, or that do not decode"),
      fact("Late", totals.late, "since the beginning: applied after the watermark had passed them"),
      fact("Duplicates", totals.duplicates, "since the beginning: already seen, not counted again"),
      fact("Conflicts", totals.conflicts, "since the beginning: duplicates whose content differs from the first")),
  ];
}

const fact = (label, value, title) => h("div", { title }, h("dt", {}, label), h("dd", {}, format.number(value)));
