"""Seasonal trend: distance from what trend and season (STL) let expect, in spreads of what they left over."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from processing.detection.detector import Values, Verdict
from processing.detection.season import Season
from processing.detection.trained import Numbers


@dataclass(frozen=True)
class SeasonalTrend:
    """See the module."""

    season: Season
    threshold: float
    version: int | None = None
    method: str = "seasonal_trend"

    @classmethod
    def train(cls, season: Season, history: Values, place: int, threshold: float) -> Self:
        """See `Trained`."""
        return cls(season, threshold)

    @classmethod
    def of(cls, numbers: Numbers, threshold: float, version: int) -> Self:
        """See `Trained`."""
        return cls(Season.of(numbers), threshold, version)

    def numbers(self) -> Numbers:
        """See `Trained`."""
        return self.season.numbers()

    def parameters(self) -> dict[str, float]:
        """See `Trained`."""
        return self.season.parameters()

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """See `Detector`."""
        (score,) = self.season.scores(place, np.array([observed]))
        return Verdict(self.season.expected(place), float(np.nan_to_num(abs(score))), self.threshold)
