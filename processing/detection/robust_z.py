"""Robust z-score: distance from the median in median absolute deviations, which a few odd windows can not move.

Of money: between logarithms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.detector import Values, Verdict, known, measured

_NORMAL: Final = 1.4826
"""Makes the median absolute deviation of a normal distribution its standard deviation."""


@dataclass(frozen=True)
class RobustZ:
    """See the module."""

    threshold: float
    least: float = 1.0
    """Where less is expected, chance is still that of so many: one visitor more is no incident."""
    method: str = "robust_z"
    version: None = None

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """See `Detector`."""
        history = known(history)
        scaled, value, least = measured(history, observed, counts=counts, least=self.least)
        middle = float(np.median(scaled))
        spread = max(_NORMAL * float(np.median(np.abs(scaled - middle))), least)
        return Verdict(float(np.median(history)), abs(value - middle) / spread, self.threshold)
