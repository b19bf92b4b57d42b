// Numbers, money and times as people read them. Money arrives as exact decimal strings and is rounded only here.

const count = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const oneDecimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const percentage = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const dayClock = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const currencies = new Map();

export const DASH = "–";

export const number = (value) => (value === null || value === undefined ? DASH : count.format(value));
export const short = (value) => (value >= 10_000 ? compact.format(value) : count.format(value));
export const rate = (value) => (value >= 100 ? count.format(Math.round(value)) : oneDecimal.format(value));
export const percent = (value) => (value === null || value === undefined ? DASH : percentage.format(value));
export const time = (iso) => clock.format(new Date(iso));
export const timeSeconds = (iso) => clockSeconds.format(new Date(iso));
export const dateTime = (iso) => dayClock.format(new Date(iso));

/** "12.50" → "$12.50"; `whole` drops the cents, for axes and large sums. */
export function money(value, currency, { whole = false } = {}) {
  if (value === null || value === undefined) return DASH;
  const key = `${currency}${whole}`;
  if (!currencies.has(key)) {
    const digits = whole ? { maximumFractionDigits: 0, minimumFractionDigits: 0 } : {};
    currencies.set(key, new Intl.NumberFormat(undefined, { style: "currency", currency, ...digits }));
  }
  return currencies.get(key).format(value);
}

/** Seconds as "0.8 s", "42 s", "3 min 05 s", "2 h 10 min". */
export function span(seconds) {
  if (seconds < 10) return `${oneDecimal.format(seconds)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds / 60) % 60)).padStart(2, "0")} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds / 3600) % 24)} h`;
}

/** "invalid_enum" → "Invalid enum"; "add_to_cart" → "Add to cart". */
export const words = (code) => code.charAt(0).toUpperCase() + code.slice(1).replaceAll("_", " ");
