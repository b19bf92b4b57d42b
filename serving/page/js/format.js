// Numbers, money and times as people read them. Money arrives as exact decimal strings and is rounded only here.

import * as zones from "./zones.js";

const count = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const oneDecimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const atMostOne = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const percentage = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
const currencies = new Map();

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short" };
const STYLES = {
  time: CLOCK,
  timeSeconds: { ...CLOCK, second: "2-digit" },
  day: { weekday: "short", ...DAY },
  date: { ...DAY, year: "numeric" },
  dayTime: { ...DAY, ...CLOCK },
  dateTime: { ...DAY, ...CLOCK, second: "2-digit" },
};
let clocks;

/** From now on, times are told in this zone. */
export function setZone(timeZone) {
  clocks = Object.fromEntries(
    Object.entries(STYLES).map(([name, style]) => [name, new Intl.DateTimeFormat(undefined, { ...style, timeZone })]));
}
setZone(zones.own());

export const DASH = "–";
const isMissing = (value) => value === null || value === undefined;

export const number = (value) => (isMissing(value) ? DASH : count.format(value));
export const short = (value) => (value >= 10_000 ? compact.format(value) : count.format(value));
export const rate = (value) => (value >= 100 ? count.format(Math.round(value)) : oneDecimal.format(value));
/** As many decimals as are worth reading, for numbers that may be whole. */
export const about = (value) => atMostOne.format(value);
export const percent = (value) => (isMissing(value) ? DASH : percentage.format(value));
export const time = (at) => clocks.time.format(new Date(at));
export const timeSeconds = (at) => clocks.timeSeconds.format(new Date(at));
export const day = (at) => clocks.day.format(new Date(at));
export const date = (at) => clocks.date.format(new Date(at));
export const dayTime = (at) => clocks.dayTime.format(new Date(at));
export const dateTime = (at) => clocks.dateTime.format(new Date(at));

/** "+12.3%" of what it was before; a dash where there was nothing before. */
export const change = (now, before) => (before > 0 ? signed.format(now / before - 1) : DASH);

/** "12.50" → "$12.50"; `whole` drops the cents, for axes and large sums. */
export function money(value, currency, { whole = false } = {}) {
  if (isMissing(value)) return DASH;
  const key = `${currency}${whole}`;
  if (!currencies.has(key)) {
    const digits = whole ? { maximumFractionDigits: 0, minimumFractionDigits: 0 } : {};
    currencies.set(key, new Intl.NumberFormat(undefined, { style: "currency", currency, ...digits }));
  }
  return currencies.get(key).format(value);
}

/** Seconds as "0.8 s", "42 s", "3 min 05 s", "2 h 10 min". */
export function span(seconds) {
  if (isMissing(seconds)) return DASH;
  if (seconds < 10) return `${oneDecimal.format(seconds)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds / 60) % 60)).padStart(2, "0")} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds / 3600) % 24)} h`;
}

/** An ISO 8601 duration of the API ("PT1M30.5S") in seconds; null stays null. */
export function seconds(duration) {
  if (isMissing(duration)) return null;
  const [, w, d, h, m, s] = /^P(?:([\d.]+)W)?(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?$/.exec(duration);
  return [w, d, h, m, s].reduce((sum, value, index) => sum + Number(value ?? 0) * [604_800, 86_400, 3600, 60, 1][index], 0);
}

/** "invalid_enum" → "Invalid enum"; "ADD_TO_CART" → "Add to cart". */
export const words = (code) => {
  const text = code === code.toUpperCase() ? code.toLowerCase() : code;
  return text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");
};

export const categoryName = (category) => category || "no category";
