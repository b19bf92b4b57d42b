"""What a series is expected to do by the hour of its day and week, learnt from its history: an STL decomposition.

All of it is in square roots: the spread of a count grows with the root of it, so that of its roots is the same at three
in the morning and on Saturday night. What was learnt is a few hundred numbers; only learning them takes statsmodels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from contracts.imports import with_pandas
from processing.detection.detector import Values, noise_of_root

DAY: Final = 24
WEEK: Final = 7 * DAY
LEAST_DAYS: Final = 3
"""Without so many nothing is expected yet."""
_LEAST_WEEKS: Final = 2
"""From so many on the days of the week are told apart."""
_NORMAL: Final = 1.4826
_ROUNDS: Final = 5
"""Of robust weighting: what was odd in the history has no weight by then."""
_JUMP: Final = 6
"""The trend is fitted at every so many hours and interpolated between."""


@dataclass(frozen=True)
class Season:
    """Roots of what is expected: a level, and how far each place of the period is from it."""

    profile: Values
    level: float
    spread: float
    """Of the roots around what is expected, by the median absolute deviation."""
    counts: bool
    seen: npt.NDArray[np.bool_]
    """Places of the period of which anything is known: of others, nights when all was off, nothing is expected."""

    @classmethod
    def learn(cls, history: Values, place: int, *, counts: bool) -> Self | None:
        """From hours one after another, NaN where nothing is known; `place` is the number of the first since 1970.

        None if they are too few.
        """
        known = int(np.sum(~np.isnan(history)))
        if known < LEAST_DAYS * DAY:
            return None
        period = WEEK if known >= _LEAST_WEEKS * WEEK else DAY
        with_pandas()
        from statsmodels.tsa.seasonal import STL  # noqa: PLC0415 - seconds and 100 MB that only training is to pay

        roots = np.sqrt(np.maximum(filled(history, period), 0.0))
        # `seasonal` over more periods than there are: one profile for all of the history.
        fitted = STL(
            roots, period=period, seasonal=2 * (len(roots) // period) + 7, seasonal_deg=0, trend_jump=_JUMP, robust=True
        ).fit(inner_iter=1, outer_iter=_ROUNDS)
        left = (roots - fitted.trend - fitted.seasonal)[~np.isnan(history)]
        spread = _NORMAL * float(np.median(np.abs(left - np.median(left))))
        profile = np.roll(fitted.seasonal[-period:], (place + len(roots)) % period)
        seen = np.zeros(period, dtype=bool)
        seen[(place + np.flatnonzero(~np.isnan(history))) % period] = True
        return cls(profile, float(fitted.trend[-1]), spread, counts, seen)

    def roots(self, place: int, length: int = 1) -> Values:
        """Roots expected in so many hours from a place on."""
        places = np.arange(place, place + length) % len(self.profile)
        found: Values = np.maximum(self.level + self.profile[places], 0.0)
        return found

    def expected(self, place: int) -> float:
        """What is expected in the hour itself; NaN where nothing is."""
        return float(self.roots(place)[0] ** 2) if self.seen[place % len(self.seen)] else float("nan")

    def scores(self, place: int, observed: Values) -> Values:
        """How far hours from a place on are above what is expected, or below (negative), in spreads; NaN if unknown."""
        roots = self.roots(place, len(observed))
        least = np.array([noise_of_root(root, counts=self.counts) for root in roots])
        found: Values = (np.sqrt(np.maximum(observed, 0.0)) - roots) / np.maximum(least, self.spread)
        found[~self.seen[np.arange(place, place + len(observed)) % len(self.seen)]] = np.nan
        return found

    def numbers(self) -> dict[str, npt.NDArray[Any]]:
        """All that it is."""
        others = [self.level, self.spread, float(self.counts)]
        return {"profile": self.profile, "seen": self.seen, "season": np.array(others)}

    def parameters(self) -> dict[str, float]:
        """For people: the level and the spread around it in roots."""
        return {"period_hours": len(self.profile), "level": round(self.level, 4), "spread": round(self.spread, 4)}

    @classmethod
    def of(cls, numbers: Mapping[str, npt.NDArray[Any]]) -> Self:
        """From its numbers."""
        level, spread, counts = (float(number) for number in numbers["season"])
        return cls(numbers["profile"], level, spread, bool(counts), numbers["seen"])


def filled(history: Values, period: int) -> Values:
    """Unknown hours as the median of the same hour of other periods, or of all."""
    filled = history.copy()
    for phase in range(period):
        own = filled[phase::period]
        gaps = np.isnan(own)
        if gaps.any():
            own[gaps] = np.median(own[~gaps]) if not gaps.all() else np.nanmedian(history)
    return filled
