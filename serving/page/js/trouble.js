// What the page says when the numbers of a view cannot be had: why, and what to do.

import { $, h, show } from "./dom.js";
import * as key from "./key.js";

const ADVICE = {
  TOO_LARGE: "Choose a shorter range.",
  TIMEOUT: "Choose a shorter range, or try again when the server is less busy.",
  INVALID_ARGUMENT: "Check what was chosen above.",
  BAD_CURSOR: "Go back to the first page of the list.",
  SLOW: "It may be busy: a shorter range is less work. Trying again.",
  INTERNAL: "Trying again. If it stays, “millrace logs serving” tells the cause.",
};
// The badge and its banner tell of these already.
const TOLD = new Set(["UNREACHABLE", "UNAVAILABLE", "NOT_READY"]);

export const isShown = () => !$("trouble").hidden;

export function clear() {
  $("trouble").hidden = true;
}

/** The first answer takes long: say so, rather than let the reader guess. */
export function slow() {
  say("amber", "Still waiting for the server. What you see is older, or empty.");
}

export function failed(error, retry) {
  if (!error.code) console.error(error); // ours: not an answer of the API
  if (TOLD.has(error.code)) return clear();
  if (error.code === "UNAUTHENTICATED" || error.code === "FORBIDDEN") return askForKey(error, retry);
  say("red", `These numbers could not be loaded. ${error.message.replace(/\.?$/, ".")} ${ADVICE[error.code] ?? ADVICE.INTERNAL}`,
    h("button", { type: "button", class: "plain", onclick: retry }, "Try again"));
}

/** The field stays as it is while the page tries again by itself: somebody may be typing into it. */
function askForKey(error, retry) {
  const field = h("input", { type: "password", id: "read-key", autocomplete: "off", spellcheck: "false", required: true, "aria-label": "Read key" });
  const why = error.code === "FORBIDDEN" ? `${error.message} Use a key that has it.`
    : key.isSet() ? "This server does not know the key, or it is not valid any more." : "This server asks for a key to read with.";
  say("amber", `${why} “millrace keys create NAME --scope analytics --scope personal” makes one.`,
    h("form", { class: "key", onsubmit: (event) => { event.preventDefault(); key.keep(field.value.trim()); retry(); } },
      field, h("button", { type: "submit", class: "plain" }, "Use this key")));
}

function say(level, text, action = null) {
  const box = $("trouble");
  if (box.dataset.text === text && !box.hidden) return; // an alert that says the same again is noise
  box.dataset.level = level;
  box.dataset.text = text;
  show(box, h("span", {}, text), action);
  box.hidden = false;
}
