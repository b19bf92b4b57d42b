"""`millrace bench detect`: every method on every kind of incident, as a table or JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any, Final

from rich.table import Table

from processing.detection.bench import VOLUMES, Figures, Scorer, confirmed, measure, rolling, series
from processing.detection.bench_series import KINDS
from processing.detection.detector import Values
from processing.detection.iqr import Iqr
from processing.detection.robust_z import RobustZ

HISTORY: Final = 60
"""Windows, as the site's minutes are held against."""

Tell = Callable[[str, int, int], None]


def run(days: int, seed: int, thresholds: Mapping[str, Sequence[float]], tell: Tell) -> list[Figures]:
    """Figures of every method at every threshold asked for, and of what an alert makes of it."""
    of = series(days, seed)
    found: list[Figures] = []
    for name, score in _methods():
        tell(name, 0, len(of))
        found += measure(name, thresholds[name.partition(",")[0]], score, of, _counting(tell, name, len(of)))
    return found


def _counting(tell: Tell, name: str, total: int) -> Callable[[], None]:
    done = count(1)
    return lambda: tell(name, next(done), total)


def _methods() -> Iterator[tuple[str, Scorer]]:
    for detector in (RobustZ(1.0), Iqr(1.0)):
        score = _remembered(rolling(detector, HISTORY))
        yield detector.method, score
        yield f"{detector.method}, alert", confirmed(score)


def _remembered(score: Scorer) -> Scorer:
    """The same series is scored once for the flags and for the alert."""
    known: dict[int, Values] = {}

    def remembering(counts: Values) -> Values:
        if id(counts) not in known:
            known[id(counts)] = score(counts)
        return known[id(counts)]

    return remembering


def as_table(figures: Sequence[Figures]) -> Table:
    """Precision and false alarms over all kinds, then recall and delay of each."""
    table = Table(title=f"{HISTORY} minutes of history; volumes {', '.join(map(str, VOLUMES))} a minute")
    incidents = [kind for kind, change in KINDS.items() if change is not None]
    for heading in ("method", "threshold", "precision", "false/day", *incidents):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for (method, threshold), own in grouped(figures).items():
        by_kind = {each.kind: each for each in own}
        cells = [f"{by_kind[kind].recall or 0:.0%} {_delay(by_kind[kind])}" for kind in incidents]
        table.add_row(method, f"{threshold:g}", f"{precision(own):.0%}", f"{false_per_day(own):.2f}", *cells)
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
