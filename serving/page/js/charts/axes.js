// Labels of time where a person would put them: whole hours, tens of minutes, days.

import * as format from "../format.js";
import { local } from "../zones.js";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;

/** How an instant on the axis of a range is labelled: days once it is longer than two. */
export function timeLabel({ from, to }) {
  return (to - from) / MINUTE_MS > 2 * DAY_MINUTES ? format.day : format.time;
}

/** Whether an instant on the axis deserves a label. */
export function isRound(at, { from, to }, zone) {
  const minutes = (to - from) / MINUTE_MS;
  const clock = local(at, zone) / MINUTE_MS;
  if (minutes > 2 * DAY_MINUTES) return clock % DAY_MINUTES === 0 || minutes > 12 * DAY_MINUTES;
  const step = minutes > 720 ? 180 : minutes > 120 ? 60 : minutes > 30 ? 10 : 3;
  return clock % step === 0;
}
