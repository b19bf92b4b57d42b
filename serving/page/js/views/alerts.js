// What people should know of: alerts to see to, and what detectors found odd.

import { AS_OF, query } from "../api.js";
import { display } from "../dialog.js";
import { $, h, redraw } from "../dom.js";
import * as format from "../format.js";
import { alertItem, showOpenAlerts } from "../parts/alerts.js";
import { choice, panel, segmented } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import * as periods from "../ranges.js";

export const title = "Alerts";
export const bots = false; // detectors leave them out
export const ranges = ["1h", "6h", "today", "24h", "7d", "30d"];
export const usual = "24h";

const ALERT = `
  id key kind severity title explainedBy openedAt changedAt resolvedAt acknowledgedAt acknowledgedBy
  members { scope subject says } deliveries { destination event attempts deliveredAt droppedAt error }`;
const ALERTS = `
query Alerts($status: AlertStatus!, $range: TimeRange!, $scope: Scope) {
  ${AS_OF}
  alerts(status: $status, first: 50) { ${ALERT} }
  open: alerts { id severity acknowledgedAt }
  trainings { version trainedAt trainedUntil }
  anomalies(range: $range, scope: $scope, first: 100) {
    windowStart windowEnd metric scope subject method expected observed score threshold severity direction modelVersion contributions { dimension value expected observed }
  }
}`;
const ACKNOWLEDGE = "mutation Acknowledge($id: ID!, $by: String!) { acknowledgeAlert(id: $id, by: $by) { id acknowledgedBy } }";

const STATUSES = [["OPEN", "Open"], ["RESOLVED", "Resolved"], ["ALL", "All"]];
const METHODS = { iqr: "Interquartile range", robust_z: "Robust z-score", one_class_svm: "One-class SVM" };
const NAME = "millrace-name";

export function build(page) {
  const chosen = (name, options) => options.find(([one]) => one.toLowerCase() === page.parameter(name))?.[0];
  const status = () => chosen("status", STATUSES) ?? "OPEN";
  const scopes = [["", "anything"], ["SITE", "the site"], ["CATEGORY", "categories"], ["PRODUCT", "products"]];
  const scope = () => chosen("scope", scopes.slice(1)) ?? "";
  const list = h("ul", { class: "alerts", id: "alerts" });
  let shown = null;

  const alerts = panel({ id: "alerts", title: "Alerts", body: list,
    controls: [segmented({ id: "status", label: "Which alerts", options: STATUSES, value: status(), onchange: (value) => page.choose({ status: value === "OPEN" ? null : value.toLowerCase() }) })],
    csv: () => [["id", "key", "kind", "severity", "title", "opened", "resolved", "acknowledged", "by", "says"],
      shown.alerts.map((one) => [one.id, one.key, one.kind, one.severity, one.title, one.openedAt, one.resolvedAt, one.acknowledgedAt, one.acknowledgedBy,
        one.members.map(({ subject, says }) => `${subject} ${says}`.trim()).join("; ")])] });
  const table = new Table({ id: "anomalies", label: "Anomalies", columns: [
    { key: "at", label: "Window", header: true, cell: (one) => `${format.dayTime(one.windowStart)} – ${format.time(one.windowEnd)}` },
    { key: "what", label: "What", cell: (one) => [h("b", {}, format.words(one.metric)), h("span", { class: "sub" }, one.subject ? ` ${one.subject}` : "")] },
    { key: "observed", label: "Observed", num: true, cell: (one) => [h("b", {}, format.about(one.observed)), one.direction === "UP" ? " ↑" : " ↓"] },
    { key: "expected", label: "Expected", num: true, spare: true, cell: (one) => format.about(one.expected) },
    { key: "moved", label: "Moved most with it", spare: true, cell: (one) => one.contributions.slice(0, 2).map(({ value, observed, expected }) => `${value} ${format.about(expected)} → ${format.about(observed)}`).join(", ") || format.DASH },
    { key: "by", label: "By", spare: true, hint: "Method and score; it flags from the threshold on", cell: (one) => h("span", { title: one.modelVersion ? `Model version ${one.modelVersion}` : null }, `${METHODS[one.method] ?? format.words(one.method)} ${format.about(one.score)}`) },
    { key: "severity", label: "Severity", spare: true, num: true, cell: (one) => h("span", { class: `pill ${one.severity === "CRITICAL" ? "bad" : "warn"}` }, format.words(one.severity)) },
  ] });
  const odd = panel({ id: "anomalies", title: "What detectors found odd", body: table.element,
    controls: [choice({ id: "scope", label: "about", value: scope(), options: scopes, onchange: (value) => page.choose({ scope: value.toLowerCase() }) })],
    csv: () => [["start", "end", "scope", "subject", "metric", "observed", "expected", "direction", "method", "model", "score", "threshold", "severity"],
      shown.anomalies.map((one) => [one.windowStart, one.windowEnd, one.scope, one.subject, one.metric, one.observed, one.expected, one.direction, one.method, one.modelVersion ?? "", one.score, one.threshold, one.severity])] });

  function acknowledge(alert) {
    const name = h("input", { type: "text", id: "ack-name", required: true, maxlength: "100", autocomplete: "name", value: stored() });
    const fault = h("p", { class: "fault", role: "alert" });
    display("Acknowledge",
      h("form", { class: "ack", onsubmit: (event) => { event.preventDefault(); send(alert, name.value.trim(), fault); } },
        h("p", {}, `You see to “${alert.title}”. Whoever is on duty is told so.`),
        h("label", {}, "Your name", name), fault, h("button", { type: "submit", class: "plain", id: "ack-send" }, "I see to it")));
    name.focus();
  }

  async function send(alert, by, fault) {
    try {
      await query(ACKNOWLEDGE, { id: alert.id, by });
      try { localStorage.setItem(NAME, by); } catch { /* storage may be off */ }
      $("dialog").close();
      page.choose({});
    } catch (error) {
      fault.replaceChildren(error.message);
    }
  }

  return {
    elements: [h("div", { class: "grid" }, alerts.element, odd.element)],

    async load() {
      const { range } = page;
      const data = await query(ALERTS, { status: status(), range: periods.iso(range), scope: scope() || null });
      return { ...data, label: range.label };
    },

    draw(data) {
      shown = data;
      showOpenAlerts(data.open);
      alerts.note(status() === "RESOLVED" ? "the newest" : `${format.number(data.open.length)} open`);
      alerts.empty(data.alerts.length ? null : status() === "OPEN" ? "Nothing to see to. Alerts come up here by themselves." : "There are none.");
      redraw(list, data.alerts.map((one) => alertItem(one, data.alerts.find(({ id }) => id === one.explainedBy), () => acknowledge(one))));
      const [training] = data.trainings;
      const models = training ? `hours by models version ${training.version}, trained ${format.dayTime(training.trainedAt)}` : "hours once there are three days to learn from";
      odd.note(`${data.label}, newest first; judged when a window is final, ${models}`);
      odd.empty(data.anomalies.length ? null : "Nothing was odd in this range, as far as detectors can tell. They need some hours of traffic to compare with.");
      table.rows(data.anomalies);
    },
  };
}

function stored() {
  try { return localStorage.getItem(NAME) ?? ""; } catch { return ""; }
}
