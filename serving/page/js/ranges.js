// Ranges of time: the presets, a reader's own, and the period before.

import * as zones from "./zones.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** By the name in the address. `minutes` is how long it is; a whole day is as long as the zone says. */
export const PRESETS = {
  "15m": { short: "15 min", label: "last 15 minutes", minutes: 15 },
  "1h": { short: "1 h", label: "last hour", minutes: 60 },
  "6h": { short: "6 h", label: "last 6 hours", minutes: 360 },
  today: { short: "Today", label: "today", minutes: 1440 },
  "24h": { short: "24 h", label: "last 24 hours", minutes: 1440 },
  "7d": { short: "7 d", label: "last 7 days", minutes: 7 * 1440 },
  "30d": { short: "30 d", label: "last 30 days", minutes: 30 * 1440 },
};

export const ALL = Object.keys(PRESETS);

// Chart windows that people can name, in minutes; the first that makes no more than so many points is taken.
const WINDOWS = [1, 2, 5, 10, 15, 30, 60, 120, 240, 720, 1440];
const MOST_POINTS = 50;

/** The preset of that name, or the shortest of those offered that is as long. */
export function nearest(name, offered) {
  if (offered.includes(name)) return name;
  const wanted = PRESETS[name]?.minutes ?? 60;
  return offered.find((one) => PRESETS[one].minutes >= wanted) ?? offered.at(-1);
}

/** What a preset means at this moment, as instants [from, to). */
export function ofPreset(name, now, zone) {
  const from = name === "today" ? zones.startOfDay(now, zone) : since(now - PRESETS[name].minutes * MINUTE_MS, now);
  return { from, to: now, label: PRESETS[name].label, live: true };
}

// Of days that are long past only whole hours are kept, so a long range begins with one.
const since = (from, now) => (now - from > 2 * DAY_MS ? Math.floor(from / HOUR_MS) * HOUR_MS : from);

/** A reader's own range, or null where the two are no range. */
export function custom(from, to) {
  const range = { from: Date.parse(from), to: Date.parse(to), label: "chosen range", live: false };
  return range.from < range.to ? range : null;
}

/** Minutes of a chart's window for a range. */
export function windowMinutes({ from, to }) {
  const minutes = (to - from) / MINUTE_MS;
  return WINDOWS.find((one) => minutes / one <= MOST_POINTS) ?? WINDOWS.at(-1) * Math.ceil(minutes / WINDOWS.at(-1) / MOST_POINTS);
}

/** Whole windows: the range widened to begin with one. */
export function aligned(range, windowMs) {
  return { ...range, from: Math.floor(range.from / windowMs) * windowMs };
}

/**
 * Whole local hours or days, and as many of them right before, for the comparison. Days are moved by the calendar, so
 * that a day of 23 hours is compared with the one that stands for it.
 */
export function periods({ from, to }, grain, zone, today = false) {
  if (grain === "DAY") {
    const first = zones.startOfDay(from, zone);
    const days = Math.max(1, Math.round((zones.startOfDay(to - 1, zone, 1) - first) / DAY_MS));
    return { current: { from: first, to }, previous: { from: zones.addDays(first, zone, -days), to: first }, days };
  }
  const first = zones.startOfHour(from, zone);
  const days = today ? 1 : Math.ceil((to - first - HOUR_MS) / DAY_MS) || 1;
  const back = (at) => zones.addDays(at, zone, -days);
  return { current: { from: first, to }, previous: { from: back(first), to: today ? first : back(to) }, days };
}

export const iso = ({ from, to }) => ({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
