"""`millrace bench detect`: every method on every kind of incident, as tables or JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any, Final

from rich.table import Table

from processing.detection.bench import VOLUMES, Figures, Scorer, confirmed, measure, retrained, rolling, series
from processing.detection.bench_series import HOURS, KINDS, MINUTES
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

    Of minutes in series of so many days, of hours in series of so many weeks; none of either for 0.
    """
    found: list[Figures] = []
    for grid, length, methods in ((MINUTES, days, _of_minutes()), (HOURS, 7 * weeks, _of_hours())):
        of = series(length, seed, grid) if length else []
        for name, score in methods if of else ():
            tell(name, 0, len(of))
            found += measure(name, thresholds[name.partition(",")[0]], score, of, _counting(tell, name, len(of)))
    return found


def _counting(tell: Tell, name: str, total: int) -> Callable[[], None]:
    done = count(1)
    return lambda: tell(name, next(done), total)


def _of_minutes() -> Iterator[tuple[str, Scorer]]:
    for detector in (RobustZ(1.0), Iqr(1.0)):
        yield from and_its_alerts(detector.method, rolling(detector, HISTORY))


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
    for grid, length, days in ((MINUTES, "minutes", 1), (HOURS, "hours", 7)):
        own = [each for each in figures if each.window_minutes == grid.window_minutes]
        if own:
            tables.append(_table(own, length, days))
    return tables


def _table(figures: Sequence[Figures], length: str, days: int) -> Table:
    table = Table(title=f"Windows are {length}; volumes {', '.join(map(str, VOLUMES))} a minute")
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
