// Sessions, newest first; each opens as a timeline.

import { AS_OF, may, query } from "../api.js";
import { h, redraw } from "../dom.js";
import { pager } from "../parts/pager.js";
import { choice, panel } from "../parts/panel.js";
import { sessionList, sessionRows } from "../parts/sessionList.js";
import * as periods from "../ranges.js";

export const title = "Sessions";
export { ALL as ranges } from "../ranges.js";

const SESSIONS = `
query Sessions($range: TimeRange, $status: SessionStatus, $device: String, $medium: String, $converted: Boolean, $product: ID, $bots: BotFilter!, ${pager.VARIABLES}) {
  ${AS_OF}
  sessions(range: $range, status: $status, device: $device, medium: $medium, converted: $converted, productId: $product, bots: $bots, ${pager.ARGUMENTS}) {
    nodes { ${sessionList.FIELDS} } ${pager.FIELDS}
  }
}`;
// An id is looked for in all of time, whoever it is: a user's, or the client's session id.
const BY_ID = `
query SessionsById($id: String!) {
  ${AS_OF}
  byUser: sessions(userId: $id, first: 50, bots: INCLUDE) { nodes { ${sessionList.FIELDS} } }
  bySession: sessions(sessionId: $id, first: 50, bots: INCLUDE) { nodes { ${sessionList.FIELDS} } }
}`;

const NO_MORE = { hasNextPage: false, hasPreviousPage: false };
const any = (names) => [["", "any"], ...names.map((name) => [name, name])];
const FILTERS = {
  status: { label: "Status", options: [["", "any"], ["ACTIVE", "active"], ["COMPLETED", "completed"]] },
  bought: { label: "Outcome", options: [["", "any"], ["yes", "bought"], ["no", "did not buy"]] },
  device: { label: "Device", options: any(["desktop", "mobile", "tablet", "tv", "bot", "other"]) },
  medium: { label: "Came by", options: any(["direct", "search", "social", "email", "paid", "campaign", "affiliate", "referral", "internal"]) },
};

export function build(page) {
  const value = (name) => (FILTERS[name].options.some(([one]) => one === page.parameter(name)) ? page.parameter(name) : "");
  const choose = (changes) => page.choose({ after: null, before: null, ...changes });
  const pages = pager(page, { size: 25, back: "Newer", on: "Older" });
  const list = sessionList({ id: "sessions", label: "Sessions", rich: true });
  const chips = h("div", { class: "chips" });
  const search = h("input", { type: "search", id: "sessions-search", placeholder: "User id or session id", "aria-label": "Find sessions by user id or session id",
    value: page.parameter("id"), onchange: (event) => choose({ id: event.target.value.trim() }) });
  const filters = h("div", { class: "filters" }, search,
    Object.entries(FILTERS).map(([name, { label, options }]) => choice({ id: `filter-${name}`, label, options, value: value(name), onchange: (chosen) => choose({ [name]: chosen }) })), chips);
  const sessions = panel({ id: "sessions", title: "Sessions", body: [list.element, pages.element],
    csv: () => sessionRows(shown) });
  let shown = [];

  return {
    elements: [filters, h("div", { class: "grid" }, sessions.element)],

    async load() {
      const { range } = page;
      if (!await may("personal")) return { ...await query(`{ ${AS_OF} }`), nodes: [], pageInfo: NO_MORE, locked: true };
      const id = page.parameter("id");
      if (id) {
        const data = await query(BY_ID, { id });
        const found = new Map([...data.byUser.nodes, ...data.bySession.nodes].map((one) => [one.id, one]));
        return { ...data, id, nodes: [...found.values()], pageInfo: NO_MORE };
      }
      const data = await query(SESSIONS, {
        range: periods.iso(range), status: value("status") || null, device: value("device") || null, medium: value("medium") || null,
        converted: { yes: true, no: false }[value("bought")] ?? null, product: page.parameter("product"), bots: page.bots, ...pages.variables(),
      });
      return { ...data, nodes: data.sessions.nodes, pageInfo: data.sessions.pageInfo, label: range.label };
    },

    draw(data) {
      shown = data.nodes;
      filters.hidden = Boolean(data.locked);
      sessions.note(data.locked ? "" : data.id ? "of all time, newest first" : `started in the ${data.label}, newest first`);
      if (data.locked) sessions.locked("personal");
      else sessions.empty(shown.length ? null : data.id
        ? `No session and no user has the id “${data.id}”. Ids are told apart to the letter; an erased user has none.`
        : "No session fits. Choose a longer range, or take a filter away.");
      list.show(shown);
      pages.show(data.pageInfo);
      const product = page.parameter("product");
      redraw(chips, product && h("span", { class: "chip" }, `with ${product}`,
        h("button", { type: "button", "data-key": "product", "aria-label": `Sessions with any product, not only ${product}`, onclick: () => choose({ product: null }) }, "×")));
    },
  };
}
