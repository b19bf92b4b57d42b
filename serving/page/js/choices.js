// What the reader has chosen for every view: range, time zone, bots. Read from the address, and written back to it.

import * as ranges from "./ranges.js";
import { parameter } from "./url.js";
import * as zones from "./zones.js";

export const BOTS = { people: "EXCLUDE", all: "INCLUDE", bots: "ONLY" };
const USUAL = "1h";

/** The choices as they stand in the address; what it does not say, or says wrongly, is as `usual` in the view. */
export function read({ ranges: offered = ranges.ALL, usual = USUAL } = {}) {
  const zone = zones.isKnown(parameter("zone")) ? parameter("zone") : zones.own();
  const own = ranges.custom(parameter("from"), parameter("to"));
  const preset = own ? null : ranges.nearest(parameter("range") in ranges.PRESETS ? parameter("range") : usual, offered);
  const bots = BOTS[parameter("bots")] ? parameter("bots") : "people";
  return { zone, own, preset, bots: BOTS[bots], botsName: bots };
}

/** The chosen range at this moment. */
export const rangeNow = ({ own, preset, zone }) => own ?? ranges.ofPreset(preset, Date.now(), zone);
