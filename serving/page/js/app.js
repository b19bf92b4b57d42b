// Puts the page together: the live tiles follow each commit, the panels follow it at a pace that is kind to the server.

import { OVERVIEW, query, REALTIME, REALTIME_LIVE } from "./api.js";
import * as charts from "./charts.js";
import { $, setText } from "./dom.js";
import * as format from "./format.js";
import * as freshness from "./freshness.js";
import { LiveRoot } from "./live.js";
import * as panels from "./panels.js";
import * as sessions from "./sessions.js";
import * as tiles from "./tiles.js";
import { parameter, setParameter } from "./url.js";

const MINUTE_MS = 60_000;
const RANGES = {
  "15m": { minutes: 15, window: 1, label: "last 15 minutes" },
  "1h": { minutes: 60, window: 5, label: "last hour" },
  "6h": { minutes: 360, window: 5, label: "last 6 hours" },
  "24h": { minutes: 1440, window: 15, label: "last 24 hours" },
};
const PAUSE_MS = 2_500;

const chosen = {
  range: parameter("range") in RANGES ? parameter("range") : "1h",
  by: [...$("products-by").options].some((one) => one.value === parameter("by")) ? parameter("by") : "REVENUE",
  status: ["ACTIVE", "COMPLETED"].includes(parameter("status")) ? parameter("status") : "",
};
let last = null; // what is on the page, to draw it again in another theme
let loading = false;
let wanted = false;
let notBefore = 0;
let hurry = false; // a reader who has chosen does not wait for the pace that is kind to the server
let wake = () => {}; // ends the pause before the next load

function choose(name, value, fallback) {
  chosen[name] = value;
  setParameter(name, value === fallback ? null : value);
  hurry = true;
  wake();
  refresh();
}

/** Load the panels, once at a time; a call while loading makes one more load after it. */
async function refresh() {
  wanted = true;
  if (loading || document.visibilityState === "hidden") return;
  loading = true;
  while (wanted) {
    const pause = hurry ? 0 : notBefore - performance.now();
    if (pause > 0) await new Promise((resolve) => { wake = resolve; setTimeout(resolve, pause); });
    wanted = hurry = false;
    const started = performance.now();
    await load();
    // A slow answer means a busy server: leave it at least four times as long alone.
    notBefore = performance.now() + Math.max(PAUSE_MS, 4 * (performance.now() - started));
  }
  loading = false;
}

async function load() {
  const { minutes, window: windowMinutes, label } = RANGES[chosen.range];
  const windowMs = windowMinutes * MINUTE_MS;
  const now = Date.now();
  const range = { from: Math.floor((now - minutes * MINUTE_MS) / windowMs) * windowMs, to: now };
  const iso = (at) => new Date(at).toISOString();
  try {
    const { data } = await query(OVERVIEW, {
      range: { from: iso(range.from), to: iso(range.to) },
      day: { from: iso(now - 24 * 60 * MINUTE_MS), to: iso(now) },
      window: `PT${windowMinutes}M`,
      by: chosen.by,
      status: chosen.status || null,
    });
    last = { data, range, windowMs, windowMinutes, label, by: chosen.by, realtime: last?.realtime };
    draw();
  } catch (error) {
    if (error.code !== "UNREACHABLE") console.warn("panels not refreshed:", error.message);
  }
}

function draw() {
  if (!last?.data) return;
  const { data, range, windowMs, windowMinutes, label, by } = last;
  $("welcome").hidden = Boolean(data.asOf);
  $("panels").hidden = !data.asOf;
  $("tiles").hidden = !data.asOf;
  if (!data.asOf) return;
  freshness.heard(data.asOf);
  setText($("footer-epoch"), `epoch ${format.number(data.asOf.epoch)}`);
  setText($("revenue-note"), `${windowMinutes}-minute windows, ${label}; lighter bars are still open`);
  $("revenue-empty").hidden = data.revenue.length > 0;
  $("revenue-chart").hidden = data.revenue.length === 0;
  if (data.revenue.length) charts.revenue(data.revenue, range, windowMs);
  charts.sales(data.sales);
  panels.products(data.topProducts, by);
  sessions.list(data.sessions.nodes);
  panels.quality(data.rejections, data.books?.totals, label);
  panels.books(data.books);
  if (last.realtime) charts.minutes(last.realtime.series);
}

function onRealtime(realtime) {
  freshness.heard(realtime.asOf);
  tiles.update(realtime);
  last = { ...last, realtime };
  if (!$("panels").hidden) charts.minutes(realtime.series);
  document.documentElement.dataset.epoch = realtime.asOf.epoch;
  refresh();
}

function wireControls() {
  for (const input of document.querySelectorAll("#range input")) {
    input.checked = input.value === chosen.range;
    input.addEventListener("change", () => choose("range", input.value, "1h"));
  }
  $("products-by").value = chosen.by;
  $("products-by").addEventListener("change", (event) => choose("by", event.target.value, "REVENUE"));
  $("sessions-status").value = chosen.status;
  $("sessions-status").addEventListener("change", (event) => choose("status", event.target.value, ""));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  $("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    try { localStorage.setItem("millrace-theme", document.documentElement.dataset.theme); } catch { /* storage may be off */ }
    draw();
  });
  document.addEventListener("visibilitychange", () => { if (wanted) refresh(); });
  setText($("welcome-curl"), `curl ${location.protocol}//${location.hostname}:7070/v1/events \\
  -H 'Authorization: Bearer YOUR_WRITE_KEY' -H 'Content-Type: application/json' \\
  -d '{"type":"clickstream","event_id":"evt_1","user_id":"u1","session_id":"s1",
       "action":"page_view","page_url":"/","timestamp":"${new Date().toISOString()}"}'`);
}

tiles.build();
wireControls();
sessions.build();
freshness.build();
// The panels follow the commits; this one keeps an empty or broken page trying, slowly.
setInterval(() => { if (!last?.data?.asOf) refresh(); }, 5000);
new LiveRoot({
  root: "realtime",
  subscription: REALTIME_LIVE,
  fallback: REALTIME,
  onData: onRealtime,
  onState: freshness.connection,
}).start();
refresh();
