"""Robust z-score: distance from the median in median absolute deviations, which a few odd windows can not move."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.detector import Values, Verdict, known, noise

_NORMAL: Final = 1.4826
"""Makes the median absolute deviation of a normal distribution its standard deviation."""


@dataclass(frozen=True)
class RobustZ:
    """See the module."""

    threshold: float
    method: str = "robust_z"
    version: None = None

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """See `Detector`."""
        history = known(history)
        expected = float(np.median(history))
        spread = _NORMAL * float(np.median(np.abs(history - expected)))
        return Verdict(expected, abs(observed - expected) / max(spread, noise(expected, counts=counts)), self.threshold)
