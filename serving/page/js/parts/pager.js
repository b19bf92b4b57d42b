// Pages of a Relay list: older and newer, by cursors in the address.

import { h } from "../dom.js";

/** `size` rows a page. `variables()` go into the query, `show(pageInfo)` says whether there is more either way. */
export function pager(page, { size, back, on }) {
  const move = (changes) => page.choose({ after: null, before: null, ...changes });
  let info = {};
  const first = h("button", { type: "button", class: "plain", onclick: () => move({}) }, "First");
  const previous = h("button", { type: "button", class: "plain", onclick: () => move({ before: info.startCursor }) }, back);
  const next = h("button", { type: "button", class: "plain", onclick: () => move({ after: info.endCursor }) }, on);
  return {
    element: h("div", { class: "pager" }, first, previous, next),
    variables() {
      const [after, before] = [page.parameter("after"), page.parameter("before")];
      return before ? { last: size, before } : { first: size, after };
    },
    show(pageInfo) {
      info = pageInfo;
      first.disabled = previous.disabled = !pageInfo.hasPreviousPage;
      next.disabled = !pageInfo.hasNextPage;
    },
  };
}

pager.FIELDS = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
pager.VARIABLES = "$first: Int, $after: String, $last: Int, $before: String";
pager.ARGUMENTS = "first: $first, after: $after, last: $last, before: $before";
