// One user: what they did in all, and their newest sessions.

import { query } from "../api.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { requestsButton } from "./requests.js";
import { sessionList } from "../parts/sessionList.js";

export const title = "User";
export const needs = "personal";

const USER = `
query User($id: ID!, $name: String!) {
  user(id: $id) {
    id firstSeen lastSeen activeWeeks events views adds purchases units sessions orders revenue refunded currency favouriteCategory bot botScore
  }
  sessions(userId: $name, first: 12, bots: INCLUDE) { nodes { ${sessionList.FIELDS} } }
}`;

export async function load(id) {
  const { user, sessions } = await query(USER, { id, name: id });
  if (!user) return h("p", { class: "empty" }, `No event names the user “${id}”, or the user was erased. Check the id.`);
  const list = sessionList({ id: "user-sessions", label: "Sessions" });
  list.show(sessions.nodes);
  return [
    user.bot ? h("p", {}, h("span", { class: "pill warn" }, `Bot, ${user.botScore} of 100`)) : null,
    h("dl", { class: "facts" }, facts(user).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
    h("h3", {}, "Newest sessions"), list.element,
    requestsButton(`erase:${id}`, "Erase this user …"),
  ];
}

const facts = (user) => [
  ["User id", user.id],
  ["First seen", format.dateTime(user.firstSeen)],
  ["Last seen", format.dateTime(user.lastSeen)],
  ["Active weeks", format.number(user.activeWeeks)],
  ["Sessions", format.number(user.sessions)],
  ["Events", format.number(user.events)],
  ["Orders", format.number(user.orders)],
  ["Revenue", format.money(user.revenue, user.currency)],
  ["Refunded", format.money(user.refunded, user.currency)],
  ["Favourite category", user.favouriteCategory ?? format.DASH],
];
