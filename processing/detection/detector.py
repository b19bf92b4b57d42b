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

_LEAST_MONEY: Final = 1e-9
_LEAST_SHARE: Final = 0.01


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

        `counts` says that the metric counts things, so that it can not vary by less than chance does; of others, money,
        nothing is negative. `place` is the window's number since 1970, by which a detector knows its hour of the day.
        """


def noise(expected: float, *, counts: bool) -> float:
    """The least spread to be reckoned with, however calm the history happens to have been."""
    by_chance = max(expected, 1.0) ** 0.5 if counts else 0.0
    return max(by_chance, _RELATIVE_NOISE * abs(expected), 1e-9)


def noise_of_root(root: float, *, counts: bool) -> float:
    """The same around the root of what is expected."""
    return noise(root**2, counts=counts) / max(2 * root, 1.0)


def measured(history: Values, observed: float, *, counts: bool, least: float) -> tuple[Values, float, float]:
    """What distances are measured in: the windows before, the window itself, and the least spread to be reckoned with.

    Counts are as they are, and chance does to them at least what it does to `least`. Of money it is the logarithm of
    how many times the median, cut off at a hundredth. Amounts differ a hundredfold, so the sum of few is skewed: what
    one large purchase adds is chance, and the same amount less is not. Logarithms are as far above their middle as
    below.
    """
    middle = float(np.median(history))
    if counts:
        return history, observed, noise(max(middle, least), counts=True)
    middle = max(middle, _LEAST_MONEY)
    times = np.log(np.maximum(np.append(history, observed) / middle, _LEAST_SHARE))
    return times[:-1], float(times[-1]), _RELATIVE_NOISE


def known(history: Values) -> Values:
    """The windows of which something is known."""
    return history[~np.isnan(history)]
