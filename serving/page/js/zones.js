// Calendar arithmetic in a time zone, from the rules the browser has. Instants are milliseconds since 1970.

const HOUR_MS = 3_600_000;
const formatters = new Map();

/** The zone of this browser. */
export const own = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Every zone this browser knows; the reader's own first, then UTC. */
export function all() {
  const known = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set([own(), "UTC", ...known])];
}

export function isKnown(zone) {
  try {
    Intl.DateTimeFormat("en-US", { timeZone: zone });
    return Boolean(zone);
  } catch {
    return false;
  }
}

/** The local clock at an instant, as if it were UTC: so that days and hours can be counted with whole numbers. */
export function local(at, zone) {
  if (!formatters.has(zone)) {
    formatters.set(zone, new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", era: "short", year: "numeric", month: "numeric", day: "numeric",
      hour: "numeric", minute: "numeric", second: "numeric",
    }));
  }
  const part = Object.fromEntries(formatters.get(zone).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) + (((at % 1000) + 1000) % 1000);
}

/** The instant at which the local clock shows this; in a gap of the clock, the instant as far after it. */
export function instant(localMs, zone) {
  // Two steps: the first guess may have the offset of the other side of a clock change.
  const guess = localMs - (local(localMs, zone) - localMs);
  const exact = localMs - (local(guess, zone) - guess);
  return local(exact, zone) === localMs ? exact : Math.max(guess, exact);
}

/** Midnight, or the first instant, of the day an instant lies in, `days` days on. */
export function startOfDay(at, zone, days = 0) {
  const clock = new Date(local(at, zone));
  return instant(Date.UTC(clock.getUTCFullYear(), clock.getUTCMonth(), clock.getUTCDate() + days), zone);
}

/** The same local time of day, `days` days on. */
export function addDays(at, zone, days) {
  return instant(local(at, zone) + days * 24 * HOUR_MS, zone);
}

/** The start of the local hour an instant lies in. */
export function startOfHour(at, zone) {
  return at - (((local(at, zone) % HOUR_MS) + HOUR_MS) % HOUR_MS);
}
