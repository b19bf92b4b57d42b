"""`millrace bench detect`: every method on every kind of incident, as tables or JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any, Final

from rich.table import Table

from processing.detection.bench import (
    PURCHASES,
    VOLUMES,
    Figures,
    Scorer,
    confirmed,
    measure,
    retrained,
    revenue,
    rolling,
    series,
)
from processing.detection.bench_series import HOURS, KINDS, MINUTES, Labelled
from processing.detection.detector import Values
from processing.detection.iqr import Iqr
from processing.detection.models import METHODS
from processing.detection.robust_z import RobustZ
from processing.detection.season import WEEK
from processing.detection.watches import LEARNT_HOURS

HISTORY: Final = 60
"""Windows, as the site's minutes are held against."""

Tell = Callable[[str, int, int], None]


def run(days: int, weeks: int, seed: int, thresholds: Mapping[str, Sequence[float]], tell: Tell) -> list[Figures]:
    """Figures of every method at every threshold asked for, and of what an alert makes of it.

    Of minutes and their revenue in series of so many days, of hours in series of so many weeks; none of either for 0.
    """
    found: list[Figures] = []
    kinds: list[tuple[list[Labelled], Iterator[tuple[str, Scorer]]]] = []
    if days:
        kinds += [(series(days, seed, MINUTES), _of_minutes()), (revenue(days, seed), _of_minutes(counts=False))]
    if weeks:
        kinds.append((series(7 * weeks, seed, HOURS), _of_hours()))
    for of, methods in kinds:
        for name, score in methods:
            tell(name, 0, len(of))
            found += measure(name, thresholds[name.partition(",")[0]], score, of, _counting(tell, name, len(of)))
    return found


def _counting(tell: Tell, name: str, total: int) -> Callable[[], None]:
    done = count(1)
    return lambda: tell(name, next(done), total)


def _of_minutes(*, counts: bool = True) -> Iterator[tuple[str, Scorer]]:
    for detector in (RobustZ(1.0), Iqr(1.0)):
        yield from and_its_alerts(detector.method, rolling(detector, HISTORY, counts=counts))


def _of_hours() -> Iterator[tuple[str, Scorer]]:
    """The rolling detectors, too: so that what learning a season is worth is seen."""
    for detector in (RobustZ(1.0), Iqr(1.0)):
        yield from and_its_alerts(detector.method, rolling(detector, WEEK))
    for name, score in zip(METHODS, retrained(tuple(METHODS.values()), LEARNT_HOURS), strict=True):
        yield from and_its_alerts(name, score)


def and_its_alerts(method: str, score: Scorer) -> Iterator[tuple[str, Scorer]]:
    """A method as it flags, and as its flags open alerts."""
    once = _remembered(score)
    yield method, once
    yield f"{method}, alert", confirmed(once)


def _remembered(score: Scorer) -> Scorer:
    """The same series is scored once for the flags and for the alert."""
    known: dict[int, Values] = {}

    def remembering(counts: Values) -> Values:
        if id(counts) not in known:
            known[id(counts)] = score(counts)
        return known[id(counts)]

    return remembering


def as_tables(figures: Sequence[Figures]) -> list[Table]:
    """A table per length of window: precision and false alarms over all kinds, then recall and delay of each."""
    tables = []
    counts, money = f"volumes {_several(VOLUMES)}", f"revenue of {_several(PURCHASES)} purchases"
    for is_money, grid, title, days in (
        (False, MINUTES, f"Windows are minutes; {counts} a minute", 1),
        (True, MINUTES, f"Windows are minutes; {money} a minute", 1),
        (False, HOURS, f"Windows are hours; {counts} a minute", 7),
    ):
        own = [each for each in figures if (each.window_minutes, each.is_money) == (grid.window_minutes, is_money)]
        if own:
            tables.append(_table(own, title, days))
    return tables


def _several(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _table(figures: Sequence[Figures], title: str, days: int) -> Table:
    table = Table(title=title)
    incidents = [kind for kind, change in KINDS.items() if change is not None]
    for heading in ("method", "threshold", "precision", "false/day" if days == 1 else "false/week", *incidents):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for (method, threshold), own in grouped(figures).items():
        by_kind = {each.kind: each for each in own}
        cells = [f"{by_kind[kind].recall or 0:.0%} {_delay(by_kind[kind])}" for kind in incidents]
        false = f"{days * false_per_day(own):.2f}"
        table.add_row(method, f"{threshold:g}", f"{precision(own):.0%}", false, *cells)
    return table


def as_json(figures: Sequence[Figures]) -> list[dict[str, Any]]:
    """One object per method, threshold and kind."""
    return [
        {
            **{name: value for name, value in asdict(each).items() if name != "delays"},
            "precision": each.precision,
            "recall": each.recall,
            "median_delay_windows": each.median_delay,
        }
        for each in figures
    ]


def grouped(figures: Sequence[Figures]) -> dict[tuple[str, float], list[Figures]]:
    """By method and threshold."""
    groups: dict[tuple[str, float], list[Figures]] = {}
    for each in figures:
        groups.setdefault((each.method, each.threshold), []).append(each)
    return groups


def precision(own: Sequence[Figures]) -> float:
    """Incidents found, as a share of all that was told: incidents and false alarms."""
    found = sum(each.found for each in own)
    told = found + sum(each.false_alarms for each in own)
    return found / told if told else 1.0


def false_per_day(own: Sequence[Figures]) -> float:
    """False alarms per day of one series."""
    return sum(each.false_alarms for each in own) / sum(each.days for each in own)


def _delay(figures: Figures) -> str:
    return "" if figures.median_delay is None else f"+{figures.median_delay:g}"
