// Single-key shortcuts. They can be turned off, as WCAG 2.1.4 asks: speech input types letters.

import { display } from "./dialog.js";
import { $, h } from "./dom.js";
import * as key from "./key.js";

const STORED = "millrace-shortcuts";
const PLACES = "1234567890";
const links = () => [...document.querySelectorAll("#views a")];

const isOn = () => { try { return localStorage.getItem(STORED) !== "off"; } catch { return true; } };

/** Listen; `go(address)` opens a view. */
export function build(go) {
  $("shortcuts-open").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (!isOn() || event.metaKey || event.ctrlKey || event.altKey || $("dialog").open) return;
    if (event.target.matches("input:not([type=radio]):not([type=checkbox]), select, textarea")) return;
    const link = links()[PLACES.indexOf(event.key)];
    if (link) go(link.getAttribute("href"));
    else if (event.key === "t") $("theme").click();
    else if (event.key === "?") help();
    else if (event.key === "/" && document.querySelector("#view input[type=search]")) {
      event.preventDefault();
      document.querySelector("#view input[type=search]").focus();
    }
  });
}

function help() {
  const keep = (event) => { try { localStorage.setItem(STORED, event.target.checked ? "on" : "off"); } catch { /* storage may be off */ } };
  const rows = [...links().map((link, index) => [PLACES[index], link.firstChild.textContent.trim()]),
    ["/", "Search in the view"], ["t", "Light or dark"], ["?", "This list"], ["Esc", "Close"]];
  display("Shortcuts",
    h("dl", { class: "keys" }, rows.map(([key, meaning]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)))),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "shortcuts-on", checked: isOn(), onchange: keep }), "Use single-key shortcuts"),
    key.isSet() && h("p", {}, h("button", { type: "button", class: "plain", id: "forget-key", onclick: () => { key.keep(""); location.reload(); } }, "Forget the read key")));
}
