// The next day hour by hour beside the last one: of the whole shop or of a category.

import { query } from "../api.js";
import { Chart } from "../charts/chart.js";
import { forecast as draw } from "../charts/forecast.js";
import { flagText } from "../charts/sales.js";
import * as format from "../format.js";
import * as ranges from "../ranges.js";
import { choice, panel, segmented } from "./panel.js";

const FORECAST = `
query Forecast($past: TimeRange!, $all: TimeRange!, $metric: ForecastMetric!, $scope: Scope!, $subject: String!, $flagged: String!) {
  revenue(range: $past, window: "PT1H") { windowStart category total count currency isFinal }
  forecast(range: $all, metric: $metric, scope: $scope, subject: $subject) { windowStart expected low high }
  anomalies(range: $past, scope: $scope, subject: $subject, metric: $flagged, first: 200) { windowStart metric observed expected }
}`;
const HOUR_MS = 3_600_000;
const HOURS = 24;
const MEASURES = [["revenue", "Revenue"], ["purchases", "Purchases"]];
const SHOP = "";

export class Forecast {
  #shown = null;
  #chart = new Chart("forecast");
  #page;

  constructor(page) {
    this.#page = page;
    this.panel = panel({ id: "forecast", title: "The next 24 hours", body: this.#chart.element, chart: this.#chart,
      controls: [
        segmented({ id: "forecast-measure", label: "Measure of the forecast", options: MEASURES, value: this.#measure(), onchange: (value) => page.choose({ expect: value === "revenue" ? null : value }) }),
        this.#choice([]),
      ],
      csv: () => [["hour", "happened", "expected", "low", "high", "odd"],
        this.#shown.map((one) => [new Date(one.at).toISOString(), one.actual, one.expected, one.low, one.high, one.odd.map(flagText).join("; ")])] });
  }

  get element() {
    return this.panel.element;
  }

  load() {
    const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
    const [past, all] = [{ from: now - (HOURS - 1) * HOUR_MS, to: now + HOUR_MS }, { from: now - (HOURS - 1) * HOUR_MS, to: now + (HOURS + 1) * HOUR_MS }];
    const subject = this.#page.parameter("of") ?? SHOP;
    return query(FORECAST, { past: ranges.iso(past), all: ranges.iso(all), metric: this.#measure().toUpperCase(), scope: subject ? "CATEGORY" : "SITE", subject, flagged: this.#measure() })
      .then((data) => ({ ...data, now, all, subject, measure: this.#measure() }));
  }

  draw(data) {
    const { currency } = data.revenue[0] ?? { currency: "USD" };
    const isMoney = data.measure === "revenue";
    const show = (value) => (isMoney ? format.money(value, currency, { whole: value >= 1000 }) : format.number(Math.round(value)));
    this.#shown = hoursOf(data);
    this.#offer(data);
    this.panel.note("and the last; eight hours in ten end up within the band; bots left out");
    this.panel.empty(data.forecast.length ? null
      : data.subject ? `Nothing is forecast of ${data.subject}: only the largest categories are.`
        : "Nothing is forecast yet. It takes three days of hours, one of them with twenty purchases, and is made whenever an hour has closed.");
    if (data.forecast.length) {
      draw(this.#chart, { hours: this.#shown, show, zone: this.#page.zone, title: `${isMoney ? "Revenue" : "Purchases"} of ${data.subject || "the shop"}`,
        tick: (value) => (isMoney ? format.money(value, currency, { whole: true }) : format.short(value)) });
    }
  }

  dispose() {
    this.#chart.dispose();
  }

  #measure() {
    return this.#page.parameter("expect") === "purchases" ? "purchases" : "revenue";
  }

  #choice(categories) {
    return choice({ id: "forecast-of", label: "of", value: this.#page.parameter("of") ?? SHOP, onchange: (value) => this.#page.choose({ of: value || null }),
      options: [[SHOP, "the whole shop"], ...categories.map((one) => [one, format.categoryName(one)])] });
  }

  // What was sold in the last day can be chosen, the most first; what the address names, too.
  #offer({ revenue, subject }) {
    const sums = new Map();
    for (const { category, total } of revenue) if (category) sums.set(category, (sums.get(category) ?? 0) + Number(total));
    if (subject && !sums.has(subject)) sums.set(subject, 0);
    const categories = [...sums.keys()].sort((a, b) => sums.get(b) - sums.get(a) || a.localeCompare(b));
    const label = this.element.querySelector("#forecast-of").closest("label");
    const offered = [...label.querySelectorAll("option")].map((one) => one.value).slice(1);
    if (offered.join("\n") !== categories.join("\n") && !label.contains(document.activeElement)) label.replaceWith(this.#choice(categories));
  }
}

const hourOf = (time) => Math.floor(Date.parse(time) / HOUR_MS) * HOUR_MS;

// One entry per hour: what happened until now, what was or is expected, and what was odd.
function hoursOf({ revenue, forecast, anomalies, now, all, subject, measure }) {
  const happened = new Map();
  const open = new Set();
  for (const one of revenue) {
    const at = Date.parse(one.windowStart);
    if (!one.isFinal) open.add(at);
    if (!subject || one.category === subject) happened.set(at, (happened.get(at) ?? 0) + (measure === "revenue" ? Number(one.total) : one.count));
  }
  const expected = new Map(forecast.map(({ windowStart, ...one }) => [Date.parse(windowStart), one]));
  const hours = [];
  for (let at = all.from; at < all.to; at += HOUR_MS) {
    // Money has four places; sums of it in floats have more.
    hours.push({ at, actual: at > now ? null : Number((happened.get(at) ?? 0).toFixed(4)), isFinal: at < now && !open.has(at), ...expected.get(at), odd: anomalies.filter(({ windowStart }) => hourOf(windowStart) === at) });
  }
  return hours;
}
