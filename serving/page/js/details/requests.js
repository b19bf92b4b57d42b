// What was asked to be done: refused events to be sent again, users to be erased; who asked, and what became of it.

import { query } from "../api.js";
import { openDetail } from "../dialog.js";
import { h, redraw, setText } from "../dom.js";
import * as format from "../format.js";
import * as key from "../key.js";

export const title = "Requests";
export const needs = "admin";

const FIELDS = "key kind state askedBy askedAt startedAt finishedAt attempts error receipt";
const REQUESTS = `query Requests { requests(first: 20) { ${FIELDS} } }`;
const REPLAY = `mutation Replay($reason: String!, $patch: String, $key: String!) { asked: replayRejected(reason: $reason, patch: $patch, key: $key) { ${FIELDS} } }`;
const ERASE = `mutation Erase($user: ID!, $key: String!) { asked: eraseUser(userId: $user, key: $key) { ${FIELDS} } }`;

const LOOK_EVERY_MS = 2_000;
const STATES = { WAITING: ["Waiting", "warn"], RUNNING: ["Being done", "active"], DONE: ["Done", ""], FAILED: ["Given up", "bad"] };
const KINDS = { REPLAY_REJECTED: "Send refused events again", ERASE_USER: "Erase a user" };
const FORMS = { replay, erase };

/** `id` is `all`, or what to ask for: `replay:REASON`, `erase:USER`. */
export async function load(id) {
  const list = h("ul", { class: "alerts", id: "requests", "aria-live": "polite" });
  const draw = (requests) => redraw(list, requests.length ? requests.map(item) : h("li", { class: "empty" }, "Nothing was asked for yet."));
  const read = async () => draw((await query(REQUESTS)).requests);
  await read();
  follow(list, read);
  const [kind, ...rest] = id.split(":");
  const about = rest.join(":");
  const ask = FORMS[kind] && about ? FORMS[kind](about, async (mutation, variables) => {
    await query(mutation, variables);
    await read();
  }) : h("p", { class: "muted" }, "Refused events are sent again from their reason, a user is erased from what the user did.");
  return [ask, h("section", { class: "asked", "aria-labelledby": "requests-title" }, h("h3", { id: "requests-title" }, "Asked for so far"), list)];
}

/** A button that opens them; null where nobody is asked for a key, since nothing may be asked for there. */
export const requestsButton = (id, text) => (key.isSet()
  ? h("button", { type: "button", class: "plain", "data-key": `requests-${id}`, onclick: () => openDetail("requests", id) }, text) : null);

/** Look again as long as the list is in sight. */
function follow(list, read) {
  const timer = setInterval(async () => {
    if (!list.isConnected) return clearInterval(timer);
    if (document.visibilityState === "hidden") return;
    try { await read(); } catch { /* the next look may be luckier */ }
  }, LOOK_EVERY_MS);
}

function replay(reason, send) {
  const patch = h("input", { type: "text", id: "request-patch", maxlength: "4096", placeholder: ".action = \"view\"", spellcheck: "false", autocomplete: "off" });
  return form({
    name: `replay ${reason}`,
    says: h("p", {}, "Send all events that were refused for ", h("b", {}, format.words(reason)), " through the gateway again, each at most once."),
    fields: [h("label", {}, "How to repair them first, in jq’s words; empty for as they are", patch)],
    button: "Send them again",
    send: (name) => send(REPLAY, { reason, patch: patch.value.trim() || null, key: name }),
  });
}

function erase(user, send) {
  const again = h("input", { type: "text", id: "request-user", required: true, spellcheck: "false", autocomplete: "off" });
  return form({
    name: `erase ${new Date().toISOString().slice(0, 10)}`,
    says: h("p", {}, "Erase ", h("b", {}, user), " from event log, tables and kept payloads, and take no event of theirs any more. It cannot be brought back."),
    fields: [h("label", {}, "The user’s id once more", again)],
    button: "Erase this user",
    fault: () => (again.value.trim() === user ? "" : "That is another id than the user’s."),
    send: (name) => send(ERASE, { user, key: name }),
  });
}

function form({ name, says, fields, button, fault = () => "", send }) {
  const chosen = h("input", { type: "text", id: "request-key", required: true, maxlength: "128", autocomplete: "off", value: `${name} ${new Date().toISOString().slice(11, 19)}` });
  const told = h("p", { class: "fault", role: "alert" });
  const submit = h("button", { type: "submit", class: "plain", id: "request-send" }, button);
  const sent = async (event) => {
    event.preventDefault();
    setText(told, fault());
    if (told.textContent) return;
    submit.disabled = true;
    try {
      await send(chosen.value.trim());
      element.replaceChildren(h("p", { class: "seen", role: "status" }, "It is asked for: below is what becomes of it."));
    } catch (error) {
      setText(told, error.message);
      submit.disabled = false;
    }
  };
  const element = h("form", { class: "ack", onsubmit: sent }, says, fields, h("label", {}, "Your name for this request; under the same name nothing is done twice", chosen), told, submit);
  return element;
}

function item(one) {
  const [state, tone] = STATES[one.state];
  return h("li", { class: "alert", "data-key": one.key, "data-state": one.state === "DONE" ? "resolved" : "open", "data-severity": one.state === "FAILED" ? "CRITICAL" : "WARNING" },
    h("header", {}, h("span", { class: `pill ${tone}` }, state), h("h3", {}, KINDS[one.kind] ?? format.words(one.kind)), h("span", { class: "sub" }, one.key),
      h("span", { class: "when" }, `${one.askedBy}, ${format.dayTime(one.askedAt)}`)),
    h("p", {}, outcome(one)));
}

function outcome({ state, error, attempts, receipt, startedAt, finishedAt }) {
  const tried = attempts > 1 ? ` Tried ${format.number(attempts)} times.` : "";
  if (state === "WAITING") return error ? `It came to nothing and is tried again: ${error}${tried}` : "The stack begins within seconds.";
  if (state === "RUNNING") return `Since ${format.timeSeconds(startedAt)}.${tried}`;
  if (state === "FAILED") return `${error}${tried} Ask again under another name once that is mended.`;
  const done = JSON.parse(receipt ?? "{}");
  const counts = done.counts ? Object.entries(done.counts).sort(([, one], [, other]) => other - one) : Object.entries(done).filter(([, value]) => typeof value === "number");
  const said = counts.map(([name, count]) => `${format.number(count)} ${format.words(name).toLowerCase()}`).join(", ");
  const copies = Object.values(done.copies_until ?? {}).sort().at(-1);
  const left = copies ? ` Kafka and files that nothing reads any more keep copies until ${format.dayTime(copies)} at most.` : "";
  return `${said || (done.counts ? "There was nothing to send" : "Nothing was left of the user")}, ${format.dateTime(finishedAt)}.${left}${tried}`;
}
