"""Interquartile range: distance beyond the nearer quartile, in widths of the middle half of the history."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.detector import Values, Verdict, known, noise

_NORMAL: Final = 1.349
"""Width of the middle half of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Iqr:
    """See the module."""

    threshold: float
    method: str = "iqr"
    version: None = None

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """See `Detector`."""
        history = known(history)
        low, expected, high = (float(value) for value in np.quantile(history, (0.25, 0.5, 0.75)))
        width = max(high - low, _NORMAL * noise(expected, counts=counts))
        beyond = max(low - observed, observed - high, 0.0)
        return Verdict(expected, beyond / width, self.threshold)
