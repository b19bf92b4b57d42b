"""How busy the shop is over the day."""

from math import cos, tau
from typing import Final

DAY_MS: Final = 24 * 60 * 60 * 1000
PEAK: Final = 1.75
"""Upper bound of `busyness`."""


def busyness(epoch_ms: int) -> float:
    """Traffic at this moment over the day's average: highest about 20:00 UTC, lowest about 05:00; 1 on average."""
    day = (epoch_ms % DAY_MS) / DAY_MS
    # Two harmonics of a day average to zero: the evening peak, and the flat hours around noon.
    return 1 + 0.6 * cos(tau * (day - 19.5 / 24)) + 0.15 * cos(2 * tau * (day - 20.5 / 24))
