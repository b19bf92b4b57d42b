"""Detectors that learn a region of usual shapes of the last day, and score what lies outside of it.

A shape is three numbers: an hour's distance from what is expected (`Season`), and the mean of it over six hours and a
day. A spike moves the first, an outage of an afternoon the second, a level that has drifted away the third, before any
hour of it is odd. Which region is learnt is the matter of the files beside this one.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, Self

import numpy as np

from processing.detection.detector import Values, Verdict
from processing.detection.season import Season
from processing.detection.trained import Numbers

LENGTHS: Final = (1, 6, 24)
"""Hours that are averaged over, the hour itself the last of them."""
_LONGEST: Final = max(LENGTHS)
_FEW: Final = 0.99


class Region(Protocol):
    """Of shapes."""

    @classmethod
    def around(cls, shapes: Values) -> Self:
        """The region of these, a row each; the same one each time."""

    def raw(self, shapes: Values) -> Values:
        """Of each, the more unusual the higher."""

    @classmethod
    def of(cls, numbers: Numbers) -> Self:
        """From what `numbers` gave."""

    def numbers(self) -> Numbers:
        """All that it is."""

    def parameters(self) -> dict[str, float]:
        """What it was learnt by."""


@dataclass(frozen=True)
class Outside:
    """A trained detector. A score of 0 is the middle of what was learnt from, 1 what one hour in a hundred exceeds."""

    season: Season
    region: Region
    middle: float
    reach: float
    threshold: float
    version: int | None = None
    method: ClassVar[str]
    learns: ClassVar[type[Region]]

    @classmethod
    def train(cls, season: Season, history: Values, place: int, threshold: float) -> Self:
        """See `Trained`."""
        seen = shapes(season, history, place)[~np.isnan(history)]
        region = cls.learns.around(seen)
        middle, few = np.quantile(region.raw(seen), (0.5, _FEW))
        return cls(season, region, float(middle), max(float(few - middle), 1e-9), threshold)

    @classmethod
    def of(cls, numbers: Numbers, threshold: float, version: int) -> Self:
        """See `Trained`."""
        middle, reach = map(float, numbers["usual"])
        return cls(Season.of(numbers), cls.learns.of(numbers), middle, reach, threshold, version)

    def numbers(self) -> Numbers:
        """See `Trained`."""
        return {**self.season.numbers(), **self.region.numbers(), "usual": np.array([self.middle, self.reach])}

    def parameters(self) -> dict[str, float]:
        """See `Trained`."""
        return self.season.parameters() | self.region.parameters()

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """See `Detector`."""
        expected = self.season.expected(place)
        if np.isnan(expected):
            return Verdict(expected, 0.0, self.threshold)
        before = history[max(len(history) - _LONGEST + 1, 0) :]
        last = shapes(self.season, np.append(before, observed), place - len(before))[-1:]
        score = max((float(self.region.raw(last)[0]) - self.middle) / self.reach, 0.0)
        return Verdict(expected, score, self.threshold)


def shapes(season: Season, values: Values, place: int) -> Values:
    """Of every hour, the first of them at `place`: a row each. Unknown hours are as expected."""
    sums = np.concatenate(([0.0], np.cumsum(np.nan_to_num(season.scores(place, values)))))
    ends = np.arange(1, len(sums))
    columns = []
    for length in LENGTHS:
        starts = np.maximum(ends - length, 0)
        # By the root of the length: so the spread of all three is about the same.
        columns.append((sums[ends] - sums[starts]) / (ends - starts) ** 0.5)
    found: Values = np.stack(columns, axis=1)
    return found
