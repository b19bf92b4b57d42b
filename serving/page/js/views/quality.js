// Whether the numbers can be trusted: what was refused and why, what came late or twice, and the books.

import { AS_OF, may, query } from "../api.js";
import { Chart } from "../charts/chart.js";
import { lateness } from "../charts/lateness.js";
import { eventLink } from "../details/event.js";
import { requestsButton } from "../details/requests.js";
import { openDetail } from "../dialog.js";
import { h, redraw } from "../dom.js";
import * as format from "../format.js";
import { books } from "../parts/books.js";
import { chosen as comparedWith, compareChoice, noted } from "../parts/compare.js";
import { panel, segmented } from "../parts/panel.js";
import { asked, keyOf, samples } from "../parts/samples.js";
import { verifications } from "../parts/verifications.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Data quality";
export const bots = false; // what is refused or repeated is nobody's yet
export { ALL as ranges } from "../ranges.js";

const quality = (personal, wanted) => `
query Quality($range: TimeRange!, ${wanted.variables}${personal ? "$conflict: Boolean, " : ""}$earlier: Earlier) {
  ${AS_OF}
  rejections(range: $range, compareWith: $earlier) {
    rejected quarantined previous { rejected quarantined }
    byReason { reason count source meaning remedy previous { count } }
    quarantineByReason { reason count meaning remedy previous { count } }
    ${wanted.fields}
  }
  lateness(range: $range, compareWith: $earlier) { events late lateShare previous { lateShare } buckets { upTo events late share cumulativeShare } }
  duplicates(range: $range, compareWith: $earlier) {
    duplicates conflicts previous { duplicates }
    ${personal ? "samples(first: 10, conflict: $conflict) { eventId conflict topic partition offset epoch firstEpoch committedAt }" : ""}
  }
  books {
    close residue checks { name meaning left right residue } totals { records late duplicates conflicts }
    epochs(first: 15) { epoch committedAt duration freshness records applied duplicates quarantined rejected late }
  }
  verifications(first: 5) { at epoch from until rows mismatches
    ${personal ? "examples { table difference key { column value } columns { column expected found } eventIds }" : ""}
  }
}`;

export function build(page) {
  const reason = () => page.parameter("reason");
  const source = () => page.parameter("source");
  const copies = () => (["yes", "no"].includes(page.parameter("conflict")) ? page.parameter("conflict") : "");
  const chart = new Chart("lateness");
  const ledger = books();
  const verified = h("div", { id: "verified" });
  const bars = h("ul", { class: "bars", id: "reasons" });
  const refused = h("div", { id: "samples" });
  let shown = null;

  const wanted = h("input", { type: "search", id: "event-search", placeholder: "Event or transaction id", "aria-label": "Explain an event by its id" });
  const search = h("form", { class: "filters", id: "explain", onsubmit: (event) => { event.preventDefault(); if (wanted.value.trim()) openDetail("event", wanted.value.trim()); } },
    wanted, h("button", { type: "submit", class: "plain" }, "Explain"), h("span", { class: "muted" }, "Where an event is, what was decided about it, and where it counts."), requestsButton("all", "Requests"));

  const reasons = panel({ id: "reasons", title: "Refused events", size: "wide", body: [bars, refused], controls: [compareChoice(page, "compare")],
    csv: () => [["where", "reason", "source", "count", "count_before", "meaning", "remedy"],
      [...shown.rejections.byReason.map((one) => ["gateway", one.reason, one.source, one.count, one.previous?.count, one.meaning, one.remedy]),
        ...shown.rejections.quarantineByReason.map((one) => ["log", one.reason, "", one.count, one.previous?.count, one.meaning, one.remedy])]] });
  const booksPanel = panel({ id: "books", title: "The books", size: "narrow", body: [ledger.element, verified], csv: ledger.csv });
  const late = panel({ id: "lateness", title: "Age at arrival", size: "half", body: chart.element, chart,
    csv: () => [["up_to", "events", "late", "share", "cumulative_share"], shown.lateness.buckets.map((one) => [one.upTo, one.events, one.late, one.share, one.cumulativeShare])] });
  const repeated = new Table({ id: "duplicates", label: "Duplicates", columns: [
    { key: "event", label: "Event", header: true, cell: (one) => [eventLink(one.eventId), one.conflict ? h("span", { class: "pill warn" }, "conflict") : null] },
    { key: "first", label: "First in epoch", num: true, spare: true, cell: (one) => format.number(one.firstEpoch) },
    { key: "again", label: "Again in", num: true, cell: (one) => format.number(one.epoch) },
    { key: "at", label: "Committed", num: true, spare: true, cell: (one) => format.timeSeconds(one.committedAt) },
  ] });
  const duplicates = panel({ id: "duplicates", title: "Sent more than once", size: "half", body: repeated.element,
    controls: [segmented({ id: "conflict", label: "Which", options: [["", "All"], ["yes", "Conflicts"], ["no", "Plain copies"]], value: copies(), onchange: (value) => page.choose({ conflict: value }) })],
    csv: () => [["event_id", "conflict", "topic", "partition", "offset", "first_epoch", "epoch", "committed_at"],
      shown.duplicates.samples.map((one) => [one.eventId, one.conflict, one.topic, one.partition, one.offset, one.firstEpoch, one.epoch, one.committedAt])] });
  const epochs = new Table({ id: "epochs", label: "Epochs", columns: [
    { key: "epoch", label: "Epoch", header: true, cell: (one) => format.number(one.epoch) },
    { key: "at", label: "Committed", num: true, cell: (one) => format.timeSeconds(one.committedAt) },
    { key: "took", label: "Took", num: true, spare: true, cell: (one) => format.span(format.seconds(one.duration)) },
    { key: "fresh", label: "Freshness", num: true, hint: "From the broker’s time of its newest event to its commit", cell: (one) => format.span(format.seconds(one.freshness)) },
    { key: "records", label: "Records", num: true, cell: (one) => format.number(one.records) },
    ...["applied", "late", "duplicates", "rejected", "quarantined"].map((key) => ({ key, label: format.words(key), num: true, spare: true, cell: (one) => format.number(one[key]) })),
  ] });
  const lines = panel({ id: "epochs", title: "The newest epochs", body: epochs.element,
    csv: () => [["epoch", "committed_at", "duration_seconds", "freshness_seconds", "records", "applied", "late", "duplicates", "rejected", "quarantined"],
      shown.books.epochs.map((one) => [one.epoch, one.committedAt, format.seconds(one.duration), format.seconds(one.freshness), one.records, one.applied, one.late, one.duplicates, one.rejected, one.quarantined])] });
  lines.note("each one transaction");

  function drawRefused({ rejections, compared }, label) {
    const groups = grouped(rejections);
    const total = rejections.rejected + rejections.quarantined;
    const before = rejections.previous && rejections.previous.rejected + rejections.previous.quarantined;
    reasons.note(noted(`${format.number(total)} ${total === 1 ? "event" : "events"}, ${label}`, compared, total, before));
    reasons.empty(groups.length ? null : "Nothing was refused in this range.");
    const top = groups[0]?.count ?? 1;
    redraw(bars, groups.map((one) => h("li", {}, h("button", {
      type: "button", "data-key": one.key, "aria-pressed": String(one.key === reason()), title: one.meaning, onclick: () => page.choose({ reason: one.key === reason() ? null : one.key, source: null }),
    },
    h("span", { class: "bar-label" }, format.words(one.reason), " ", h("span", { class: "sub" }, one.where === "log" ? "in the log, past the gateway" : one.sources.join(", "))),
    h("span", { class: "bar-value" }, compared && h("span", { class: "sub", title: compared.label }, `was ${format.number(one.before)}`), format.number(one.count)),
    h("span", { class: "meter", "--share": `${(one.count / top) * 100}%`, "aria-hidden": "true" })))));
    const chosen = groups.find((one) => one.key === reason());
    redraw(refused, chosen ? samples(chosen, rejections, source(), (name) => page.choose({ source: name })) : groups.length ? h("p", { class: "muted hint" }, "Choose a reason to see what it means, what to do, and events that were refused for it.") : null);
  }

  return {
    elements: [search, h("div", { class: "grid" }, [reasons, booksPanel, late, duplicates, lines].map((one) => one.element))],

    async load() {
      const { range } = page;
      const compared = comparedWith(page);
      const personal = await may("personal");
      const wanted = asked(personal ? reason() : null, source());
      const which = personal && { conflict: { yes: true, no: false }[copies()] ?? null };
      const data = await query(quality(personal, wanted), { range: periods.iso(range), earlier: compared?.api ?? null, ...which, ...wanted.values });
      return { ...data, compared, label: range.label };
    },

    draw(data) {
      shown = data;
      drawRefused(data, data.label);
      booksPanel.note(data.books ? `${format.number(data.books.totals.records)} records since the beginning` : "");
      ledger.show(data.books);
      redraw(verified, verifications(data.verifications));
      const { events, late: tooLate, lateShare, previous } = data.lateness;
      const share = data.compared ? `; ${format.percent(previous?.lateShare)} ${data.compared.label}` : "";
      late.note(events ? `${format.number(tooLate)} of ${format.number(events)} late (${format.percent(lateShare)}), counted all the same${share}` : "");
      late.empty(events ? null : "No event arrived in this range.");
      if (events) lateness(chart, data.lateness);
      const { duplicates: copied, conflicts, samples: found } = data.duplicates;
      duplicates.note(noted(`${format.number(copied)}, of these ${format.number(conflicts)} with another content; counted once`, data.compared, copied, data.duplicates.previous?.duplicates));
      if (!found) duplicates.locked("personal");
      else duplicates.empty(found.length ? null : "Nothing came twice in this range.");
      repeated.rows(found ?? []);
      lines.empty(data.books?.epochs.length ? null : "No epoch yet.");
      epochs.rows(data.books?.epochs ?? []);
    },

    dispose() { chart.dispose(); },
  };
}

// One line a reason: the gateway's over all sources, the quarantine's apart, since other hands must mend them.
function grouped({ byReason, quarantineByReason }) {
  const groups = new Map();
  const add = (one, where) => {
    const key = keyOf(where, one.reason);
    const known = groups.get(key) ?? { ...one, key, where, count: 0, before: 0, sources: [] };
    known.count += one.count;
    known.before += one.previous?.count ?? 0;
    if (one.source) known.sources.push(one.source);
    groups.set(key, known);
  };
  for (const one of byReason) add(one, "gateway");
  for (const one of quarantineByReason) add(one, "log");
  return [...groups.values()].sort((a, b) => b.count - a.count);
}
