// The one dialog: a session, a user, an event, requests, the shortcuts. What it shows has an address, so it can be shared and gone back from.

import { may } from "./api.js";
import { $, h, setText, show } from "./dom.js";
import { lacks } from "./key.js";
import { parameter, setParameters } from "./url.js";

/** What can be opened by the address: parameter → module with `title`, `load(id, page)` and the scope that it `needs`, if any. */
const KINDS = {
  session: () => import("./details/session.js"), user: () => import("./details/user.js"),
  event: () => import("./details/event.js"), also: () => import("./details/also.js"),
  requests: () => import("./details/requests.js"),
};

let shown = null;
let page = null;
const LOCKED = "data-locked"; // the view behind it asks for a key: the address stays, so that it opens again with one

export function build() {
  const dialog = $("dialog");
  $("dialog-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (dialog.open) return; // opened again meanwhile
    shown = null;
    if (!dialog.hasAttribute(LOCKED)) setParameters(Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, null])));
  });
}

export function close() {
  if (!$("dialog").open) return;
  shown = null;
  $("dialog").close();
}

/** Open what the address names, if it names anything. */
export function openFromAddress(itsPage) {
  page = itsPage;
  const kind = Object.keys(KINDS).find((name) => parameter(name));
  if (kind) openDetail(kind, parameter(kind));
  else close();
}

/** Open a detail by its kind and id. */
export async function openDetail(kind, id) {
  if (shown === `${kind} ${id}`) return;
  $("dialog").removeAttribute(LOCKED);
  shown = `${kind} ${id}`;
  setParameters({ ...Object.fromEntries(Object.keys(KINDS).map((name) => [name, null])), [kind]: id });
  const module = await KINDS[kind]();
  display(module.title, h("p", { class: "empty" }, "Loading …"));
  try {
    const content = !module.needs || await may(module.needs) ? await module.load(id, page) : h("p", { class: "empty" }, lacks(module.needs));
    if (shown === `${kind} ${id}`) show($("dialog-body"), content);
  } catch (error) {
    if (error.code === "UNAUTHENTICATED") {
      $("dialog").setAttribute(LOCKED, "");
      return $("dialog").close();
    }
    show($("dialog-body"), h("p", { class: "empty" }, `${error.message} Close this and try again.`));
  }
}

/** Show anything else. */
export function display(title, ...content) {
  setText($("dialog-title"), title);
  show($("dialog-body"), content);
  if (!$("dialog").open) $("dialog").showModal();
}
