"""The next hours of one series: its season, the level that it has now, and how far such forecasts have been off.

The season is that of the detectors (`Season`). What is left is smoothed exponentially (statsmodels fits by how much),
so the level follows what is new. The interval is no formula: it is how far off the same forecast would have been at
every hour of the history, hour by hour ahead, so whatever a shop's days do to it is in it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.imports import with_pandas
from processing.detection.detector import Values
from processing.detection.season import DAY, Season, filled

SHARE: Final = 0.8
"""Of hours that end up within the interval."""
_NOTHING: Final = 1e-6
"""Of roots: a series that differs by less has no level to follow."""
_SETTLING: Final = 2 * DAY
"""Hours until the level has forgotten where it began."""


@dataclass(frozen=True)
class Outlook:
    """What is expected of consecutive hours, and between what they will be `SHARE` of the times; NaN if unknown."""

    expected: Values
    low: Values
    high: Values


def outlook(history: Values, place: int, hours: int, *, counts: bool) -> Outlook | None:
    """The hours after a history whose first hour is at `place`; unknown ones are NaN. None if there are too few."""
    season = Season.learn(history, place, counts=counts)
    if season is None:
        return None
    with_pandas()
    from statsmodels.tsa.holtwinters import SimpleExpSmoothing  # noqa: PLC0415 - seconds that only this is to pay

    period, length = len(season.profile), len(history)
    left = np.sqrt(np.maximum(filled(history, period), 0.0)) - season.profile[(place + np.arange(length)) % period]
    if np.ptp(left) < _NOTHING:
        levels = left
    else:
        levels = SimpleExpSmoothing(left, initialization_method="heuristic").fit().level
    known = ~np.isnan(history)
    # The season has seen the hours that it is held against here, and knows them better than it will know the next.
    widen = ((length / period + 1) / max(length / period - 1, 1)) ** 0.5
    low, high = np.zeros(hours), np.zeros(hours)
    for ahead in range(1, hours + 1):
        off = (left[_SETTLING + ahead :] - levels[_SETTLING:-ahead])[known[_SETTLING + ahead :]]
        low[ahead - 1], high[ahead - 1] = widen * np.quantile(off, (0.5 - SHARE / 2, 0.5 + SHARE / 2))
    places = (place + length + np.arange(hours)) % period
    roots = np.where(season.seen[places], levels[-1] + season.profile[places], np.nan)
    expected, low, high = (np.maximum(values, 0.0) ** 2 for values in (roots, roots + low, roots + high))
    return Outlook(expected, np.minimum(low, expected), np.maximum(high, expected))
