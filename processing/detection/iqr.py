"""Interquartile range: distance beyond the nearer quartile, in widths of the middle half of the history.

Of money: between logarithms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.detector import Values, Verdict, known, measured

_NORMAL: Final = 1.349
"""Width of the middle half of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Iqr:
    """See the module."""

    threshold: float
    least: float = 1.0
    """Where less is expected, chance is still that of so many: one visitor more is no incident."""
    method: str = "iqr"
    version: None = None

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """See `Detector`."""
        history = known(history)
        scaled, value, least = measured(history, observed, counts=counts, least=self.least)
        low, high = (float(each) for each in np.quantile(scaled, (0.25, 0.75)))
        width = max(high - low, _NORMAL * least)
        beyond = max(low - value, value - high, 0.0)
        return Verdict(float(np.median(history)), beyond / width, self.threshold)
