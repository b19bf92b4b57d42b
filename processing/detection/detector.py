"""What a detector is: told what came before a window, it says how far off the window is."""

from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]

CRITICAL_AT: Final = 2.0
"""A flag is critical from so many times the threshold on."""
_RELATIVE_NOISE: Final = 0.05
"""Windows of a shop differ by so much of what is expected without anything being the matter: the hours of the day."""


@dataclass(frozen=True)
class Verdict:
    """One window, judged."""

    expected: float
    score: float
    """How far off, in the detector's unit; never negative."""
    threshold: float
    """The score from which it is flagged."""

    @property
    def is_flagged(self) -> bool:
        return self.score >= self.threshold

    @property
    def severity(self) -> str:
        """`warning`, or `critical`."""
        return "critical" if self.score >= CRITICAL_AT * self.threshold else "warning"


class Detector(Protocol):
    """Judges one window at a time. It keeps nothing between calls, so that a window can be judged again."""

    @property
    def method(self) -> str:
        """Its name in flags and settings."""

    @property
    def version(self) -> int | None:
        """Of the training that it comes from; None where there is nothing to train."""

    def judge(self, history: Values, observed: float, *, counts: bool, place: int = 0) -> Verdict:
        """`history` has the same metric in the windows before, the oldest first, NaN where unknown, two known or more.

        `counts` says that the metric counts things, so that it can not vary by less than chance does. `place` is the
        window's number since 1970, by which a detector knows its hour of the day.
        """


def noise(expected: float, *, counts: bool) -> float:
    """The least spread to be reckoned with, however calm the history happens to have been."""
    by_chance = max(expected, 1.0) ** 0.5 if counts else 0.0
    return max(by_chance, _RELATIVE_NOISE * abs(expected), 1e-9)


def known(history: Values) -> Values:
    """The windows of which something is known."""
    return history[~np.isnan(history)]
