// Who the visitors are, and whether they come back.

import { AS_OF, may, query } from "../api.js";
import { openDetail } from "../dialog.js";
import { h, redraw } from "../dom.js";
import * as format from "../format.js";
import { pager } from "../parts/pager.js";
import { choice, panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Users";
export const ranges = ["today", "24h", "7d", "30d"];
export const usual = "7d";

const RETENTION = "retention(weeks: 8, bots: $bots) { windowStart users weeks { week users share isFinal } }";
const USERS = `
query Users($order: UserOrder!, $firstSeen: TimeRange, $lastSeen: TimeRange, $bought: Boolean, $minRevenue: Decimal, $category: String, $bots: BotFilter!, ${pager.VARIABLES}) {
  ${AS_OF}
  users(orderBy: $order, firstSeen: $firstSeen, lastSeen: $lastSeen, bought: $bought, minRevenue: $minRevenue, category: $category, bots: $bots, ${pager.ARGUMENTS}) {
    nodes { id firstSeen lastSeen sessions events orders revenue currency favouriteCategory bot } ${pager.FIELDS}
  }
  ${RETENTION}
}`;
const RETENTION_ALONE = `query Retention($bots: BotFilter!) { ${AS_OF} ${RETENTION} }`;

// What a segment asks for, in the chosen range.
const SEGMENTS = {
  seen: { label: "seen in the range", ask: (range) => ({ lastSeen: range }) },
  fresh: { label: "new in the range", ask: (range) => ({ firstSeen: range }) },
  buyers: { label: "buyers", ask: (range) => ({ lastSeen: range, bought: true }) },
  lookers: { label: "window-shoppers", ask: (range) => ({ lastSeen: range, bought: false }) },
  everyone: { label: "everyone, ever", ask: () => ({}) },
};
const ORDERS = { seen: ["LAST_SEEN", "last seen"], revenue: ["REVENUE", "revenue"], events: ["EVENTS", "events"] };

export function build(page) {
  const segment = () => (page.parameter("segment") in SEGMENTS ? page.parameter("segment") : "seen");
  const order = () => (page.parameter("order") in ORDERS ? page.parameter("order") : "revenue");
  const choose = (changes) => page.choose({ after: null, before: null, ...changes });
  const pages = pager(page, { size: 20, back: "Previous", on: "Next" });
  let shown = [];

  const table = new Table({ id: "users", label: "Users", columns: [
    { key: "id", label: "User", header: true, cell: (one) => [
      h("button", { type: "button", class: "link", "data-key": one.id, onclick: () => openDetail("user", one.id) }, one.id), one.bot ? h("span", { class: "pill warn" }, "Bot") : null] },
    { key: "revenue", label: "Revenue", num: true, cell: (one) => format.money(one.revenue, one.currency) },
    { key: "orders", label: "Orders", num: true, spare: true, cell: (one) => format.number(one.orders) },
    { key: "sessions", label: "Sessions", num: true, spare: true, cell: (one) => format.number(one.sessions) },
    { key: "events", label: "Events", num: true, spare: true, cell: (one) => format.number(one.events) },
    { key: "category", label: "Favourite category", spare: true, cell: (one) => one.favouriteCategory ?? format.DASH },
    { key: "first", label: "First seen", num: true, spare: true, cell: (one) => format.dayTime(one.firstSeen) },
    { key: "last", label: "Last seen", num: true, spare: true, cell: (one) => format.dayTime(one.lastSeen) },
  ] });
  const find = h("input", { type: "search", id: "users-search", placeholder: "User id", "aria-label": "Open a user by id",
    onchange: (event) => { const id = event.target.value.trim(); if (id) openDetail("user", id); } });
  const list = panel({ id: "users", title: "Users", body: [table.element, pages.element],
    controls: [find,
      choice({ id: "segment", label: "show", value: segment(), onchange: (value) => choose({ segment: value === "seen" ? null : value }), options: Object.entries(SEGMENTS).map(([name, { label }]) => [name, label]) }),
      choice({ id: "order", label: "by", value: order(), onchange: (value) => choose({ order: value === "revenue" ? null : value }), options: Object.entries(ORDERS).map(([name, [, label]]) => [name, label]) })],
    csv: () => [["user", "first_seen", "last_seen", "sessions", "events", "orders", "revenue", "currency", "favourite_category", "bot"],
      shown.users.nodes.map((one) => [one.id, one.firstSeen, one.lastSeen, one.sessions, one.events, one.orders, one.revenue, one.currency, one.favouriteCategory, one.bot])] });
  const cohorts = h("div", { class: "scroll", id: "retention", tabindex: "0", role: "region", "aria-label": "Table: Retention by week" });
  const retention = panel({ id: "retention", title: "Do they come back", body: cohorts,
    csv: () => [["cohort", "users", "week", "users_seen", "share", "final"],
      seen(shown).flatMap((one) => one.weeks.map((week) => [one.windowStart, one.users, week.week, week.users, week.share, week.isFinal]))] });
  retention.note("users by the week they were first seen in (from Monday, UTC), and the share of them seen again; a dashed one still goes on");

  return {
    elements: [h("div", { class: "grid" }, list.element, retention.element)],

    async load() {
      const { range } = page;
      if (!await may("personal")) return { ...await query(RETENTION_ALONE, { bots: page.bots }), label: "" };
      const asked = SEGMENTS[segment()].ask(periods.iso(range));
      const data = await query(USERS, { order: ORDERS[order()][0], bots: page.bots, ...asked, ...pages.variables() });
      return { ...data, label: range.label };
    },

    draw(data) {
      shown = data;
      const { users } = data;
      list.note(users && segment() === "everyone" ? "of all time" : data.label);
      if (!users) list.locked("personal");
      else list.empty(users.nodes.length ? null : "No user fits. Choose a longer range or another segment.");
      table.rows(users?.nodes ?? [], { sort: { key: order(), direction: "desc" } });
      if (users) pages.show(users.pageInfo);
      const known = seen(data);
      retention.empty(known.length ? null : "Nobody was seen in the last eight weeks.");
      redraw(cohorts, grid(known));
    },
  };
}

const seen = ({ retention }) => retention.filter((one) => one.users);

function grid(cohorts) {
  const most = Math.max(0, ...cohorts.map((one) => one.weeks.length));
  const weeks = Array.from({ length: most }, (_, week) => week);
  return h("table", { class: "cohorts" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Week of"), h("th", { scope: "col", class: "num" }, "Users"),
      weeks.map((week) => h("th", { scope: "col", class: "num" }, `Week ${week}`)))),
    h("tbody", {}, cohorts.map((one) => h("tr", {},
      h("th", { scope: "row" }, format.date(one.windowStart)), h("td", { class: "num" }, format.number(one.users)),
      weeks.map((week) => cell(one.weeks[week]))))));
}

const cell = (week) => h("td", { class: "num" },
  week && h("span", { class: week.isFinal ? "heat" : "heat open", "--heat": `${(week.share ?? 0) * 34}%`, title: `${format.number(week.users)} users` }, format.percent(week.share)));
