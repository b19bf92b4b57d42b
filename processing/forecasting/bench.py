"""How good forecasts are: how far off, and how many hours end up in the interval, on the detectors' seeded series.

Beside them what costs nothing: that an hour will be as the same hour a week ago.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from rich.table import Table

from processing.detection.bench_series import HOURS, labelled
from processing.detection.season import DAY, WEEK
from processing.detection.watches import LEARNT_HOURS
from processing.forecasting.outlook import SHARE, outlook
from processing.forecasting.run import AHEAD

VOLUMES: Final = (1, 30, 300, 5000)
_STEP: Final = 2 * DAY + 5
"""Hours between forecasts: they begin at every hour of the day in turn."""


@dataclass(frozen=True)
class Figures:
    """Of one kind of series at one volume."""

    kind: str
    volume: int
    """Events a minute."""
    learnt_days: int
    forecasts: int
    off: float
    """Mean distance from what happened, as a share of that."""
    off_last_week: float | None
    """The same of the hour a week ago; None where nothing was known of it."""
    within: float
    """Share of the hours within the interval."""


def run(weeks: int, seed: int, tell: Callable[[str, int, int], None]) -> list[Figures]:
    """Forecasts of so many weeks, each from the days before it alone."""
    found = []
    cases = [("season only", volume, days) for days in (4, 28) for volume in VOLUMES] + [
        ("level shift", volume, 28) for volume in VOLUMES
    ]
    for done, (kind, volume, days) in enumerate(cases):
        tell("forecast", done, len(cases))
        counts = labelled(kind, volume, 7 * weeks, seed, HOURS).counts
        found.append(_figures(kind, volume, days, counts))
    return found


def _figures(kind: str, volume: int, days: int, counts: np.typing.NDArray[np.float64]) -> Figures:
    off, last_week, within = [], [], []
    for start in range(LEARNT_HOURS, len(counts) - AHEAD, _STEP):
        since = start - days * DAY
        made = outlook(counts[since:start], since, AHEAD, counts=True)
        assert made is not None
        happened = counts[start : start + AHEAD]
        share = np.maximum(happened, 1.0)
        off.append(np.mean(np.abs(made.expected - happened) / share))
        last_week.append(np.mean(np.abs(counts[start - WEEK : start - WEEK + AHEAD] - happened) / share))
        within.append(np.mean((happened >= made.low) & (happened <= made.high)))
    naive = float(np.mean(last_week)) if days * DAY >= WEEK else None
    return Figures(kind, volume, days, len(off), float(np.mean(off)), naive, float(np.mean(within)))


def as_table(figures: list[Figures]) -> Table:
    """A row per kind and volume."""
    table = Table(title=f"Forecasts of {AHEAD} hours; {SHARE:.0%} of hours are to end up within the interval")
    for heading in ("series", "a minute", "days learnt from", "forecasts", "off", "off, as a week ago", "within"):
        table.add_column(heading, justify="left" if heading == "series" else "right")
    for each in figures:
        naive = "" if each.off_last_week is None else f"{each.off_last_week:.1%}"
        table.add_row(
            *(each.kind, str(each.volume), str(each.learnt_days), str(each.forecasts)),
            *(f"{each.off:.1%}", naive, f"{each.within:.0%}"),
        )
    return table


def as_json(figures: list[Figures]) -> list[dict[str, Any]]:
    """One object per kind and volume."""
    return [asdict(each) for each in figures]
