// Puts the page together: one view at a time, the freshness of all of them, and the choices that go along.

import { ALERTS, ALERTS_LIVE, REALTIME, REALTIME_LIVE } from "./api.js";
import * as choices from "./choices.js";
import * as controls from "./controls.js";
import * as dialog from "./dialog.js";
import { $, setText, show } from "./dom.js";
import * as format from "./format.js";
import * as freshness from "./freshness.js";
import * as keyboard from "./keyboard.js";
import { LiveRoot } from "./live.js";
import { showOpenAlerts } from "./parts/alerts.js";
import { Refresher } from "./refresher.js";
import * as theme from "./themes.js";
import * as trouble from "./trouble.js";
import { addressOf, parameter, setParameters } from "./url.js";

const NAMES = [...document.querySelectorAll("#views a")].map((link) => link.dataset.view);

let view = null; // { name, module, parts }: what is open
let chosen = choices.read();
let data = null; // what is on the page, to draw it again in another theme
let realtime = null;
let asked = 0; // loads so far: an answer that was overtaken by a choice is dropped

/** What a view is given: the choices, its own parameters, and ways to change them. */
const page = {
  get bots() { return chosen.bots; },
  get zone() { return chosen.zone; },
  get preset() { return chosen.preset; },
  get range() { return choices.rangeNow(chosen); },
  get realtime() { return realtime; },
  parameter,
  /** Change parameters of the view and load again. */
  choose(changes) {
    setParameters(changes);
    reload();
  },
  /** Show what is there again. */
  draw: () => draw(),
  go,
};

const refresher = new Refresher(load);

function reload() {
  asked += 1;
  refresher.hurry();
}

const nameOf = (path) => {
  const name = path.replaceAll("/", "") || NAMES[0];
  return NAMES.includes(name) ? name : NAMES[0];
};

/** Open the view that the address names. */
async function open() {
  const name = nameOf(location.pathname);
  if (view?.name !== name) {
    const module = await import(`./views/${name}.js`);
    if (nameOf(location.pathname) !== name) return;
    view?.parts.dispose?.();
    data = null;
    view = { name, module, parts: module.build(page) };
    show($("view"), view.parts.elements);
    setText($("title"), module.title);
    document.title = name === NAMES[0] ? "Millrace" : `${module.title} – Millrace`;
    document.body.dataset.view = name;
    trouble.clear();
    if (realtime) view.parts.live?.(realtime);
  }
  readChoices();
  dialog.openFromAddress(page);
  reload();
}

function readChoices() {
  chosen = choices.read(view.module);
  format.setZone(chosen.zone);
  controls.show(chosen, view.module);
  for (const link of document.querySelectorAll("#views a")) {
    link.href = addressOf(link.dataset.view === NAMES[0] ? "/" : `/${link.dataset.view}`);
    if (link.dataset.view !== view.name) link.removeAttribute("aria-current");
    else if (!link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" }); // the strip of views on a narrow screen
    }
  }
  live.change({ zone: chosen.zone, bots: chosen.bots });
}

/** Go to an address of this page without loading it anew. */
function go(address) {
  history.pushState(null, "", address);
  dialog.close();
  return open().then(() => window.scrollTo(0, 0));
}

async function load() {
  const started = asked;
  const main = $("main");
  main.setAttribute("aria-busy", "true");
  const waiting = setTimeout(() => trouble.slow(), 4000);
  try {
    const answer = await view.parts.load();
    if (started !== asked) return;
    data = answer;
    trouble.clear();
    draw();
    document.documentElement.dataset.loaded = view.name;
  } catch (error) {
    if (started === asked) trouble.failed(error, again);
  } finally {
    clearTimeout(waiting);
    main.removeAttribute("aria-busy");
  }
}

function again() {
  dialog.openFromAddress(page);
  reload();
  live.again();
  alerts.again();
}

function draw() {
  if (!data) return;
  $("welcome").hidden = Boolean(data.asOf);
  $("view").hidden = !data.asOf;
  if (!data.asOf) return;
  freshness.heard(data.asOf);
  setText($("footer-epoch"), `epoch ${format.number(data.asOf.epoch)}, committed ${format.dateTime(data.asOf.committedAt)}`);
  view.parts.draw(data);
  document.documentElement.dataset.drawn = data.asOf.epoch;
}

function onRealtime(value) {
  realtime = value;
  freshness.heard(value.asOf);
  document.documentElement.dataset.epoch = value.asOf.epoch;
  view?.parts.live?.(value);
  refresher.request();
}

const live = new LiveRoot({
  root: "realtime",
  subscription: REALTIME_LIVE,
  fallback: REALTIME,
  variables: { zone: chosen.zone, bots: chosen.bots },
  onData: onRealtime,
  onState: freshness.connection,
});

/** Alerts change outside of commits, too, so they are followed by themselves. */
const alerts = new LiveRoot({
  root: "alerts",
  subscription: ALERTS_LIVE,
  fallback: ALERTS,
  variables: {},
  onData: (open) => {
    showOpenAlerts(open);
    if (view?.name === "alerts") refresher.hurry();
  },
  onState: () => {},
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
window.addEventListener("popstate", open);
controls.build((changes) => {
  setParameters(changes);
  readChoices();
  reload();
});
theme.build(() => { draw(); if (realtime) view?.parts.live?.(realtime); });
freshness.build();
dialog.build();
keyboard.build(go);
setText($("welcome-curl"), `curl ${location.protocol}//${location.hostname}:7070/v1/events \\
  -H 'Authorization: Bearer YOUR_WRITE_KEY' -H 'Content-Type: application/json' \\
  -d '{"type":"clickstream","event_id":"evt_1","user_id":"u1","session_id":"s1",
       "action":"page_view","page_url":"/","timestamp":"${new Date().toISOString()}"}'`);
// The view follows the commits; this one keeps an empty or broken page trying, slowly.
setInterval(() => { if (!data?.asOf || trouble.isShown()) refresher.request(); }, 5000);
open().then(() => {
  live.start();
  alerts.start();
});
