"""How good detectors are on recorded series that somebody has labelled: `millrace bench detect --labelled FOLDER`.

The rolling methods judge windows as they were recorded, the trained ones the same by the hour, learnt every day from
what came before. A label is found when a window in it is flagged; runs of flags outside of labels are false alarms.
The first 15 % of a series are not judged, as the makers of the benchmark have it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from rich.table import Table

from processing.detection.bench import Scorer, retrained, rolling, runs
from processing.detection.bench_table import HISTORY, Tell, and_its_alerts
from processing.detection.iqr import Iqr
from processing.detection.models import METHODS
from processing.detection.recorded import Recorded
from processing.detection.robust_z import RobustZ
from processing.detection.season import DAY
from processing.detection.watches import LEARNT_HOURS

_UNJUDGED: Final = 0.15


@dataclass(frozen=True)
class Found:
    """What one method did on one group of series."""

    method: str
    threshold: float
    group: str
    series: int
    labels: int
    found: int
    false_alarms: int
    """Runs of flagged windows outside of labels, each counted once."""
    weeks: float
    """Judged, labels left out."""
    label_weeks: tuple[float, ...]
    """How long each label is."""
    delays: tuple[float, ...]
    """Hours from the onset of each label found to its first flag; negative where the flag came before."""


def run(of: Sequence[Recorded], thresholds: Mapping[str, Sequence[float]], tell: Tell) -> list[Found]:
    """Of every method at every threshold asked for, and of what an alert makes of it, group by group."""
    found: dict[tuple[str, float, str], Found] = {}
    for done, series in enumerate(of):
        tell("labelled", done, len(of))
        for method, on, score in _scorers(series):
            scores = score(on.values)
            for threshold in thresholds[method.partition(",")[0]]:
                own = _held(method, threshold, on, np.nan_to_num(scores) >= threshold)
                key = (method, threshold, series.group)
                found[key] = _both(found[key], own) if key in found else own
    tell("labelled", len(of), len(of))
    return list(found.values())


def _scorers(series: Recorded) -> Iterator[tuple[str, Recorded, Scorer]]:
    for detector in (RobustZ(1.0), Iqr(1.0)):
        for name, score in and_its_alerts(detector.method, rolling(detector, HISTORY, counts=series.counts)):
            yield name, series, score
    hours = series.by_hour()
    trained = retrained(tuple(METHODS.values()), LEARNT_HOURS, first=DAY, counts=series.counts)
    for method, scorer in zip(METHODS, trained, strict=True):
        for name, score in and_its_alerts(method, scorer):
            yield name, hours, score


def _held(method: str, threshold: float, series: Recorded, flagged: np.typing.NDArray[np.bool_]) -> Found:
    judged = int(len(flagged) * _UNJUDGED)
    quiet = ~np.isnan(series.values)
    quiet[:judged] = False
    delays, lengths = [], []
    for label in series.labels:
        start, end = max(series.place(label.start), 0), series.place(label.end) + 1
        quiet[start:end] = False
        lengths.append((end - start) * (series.length / timedelta(weeks=1)))
        hits = np.flatnonzero(flagged[max(start, judged) : end])
        if len(hits):
            first = max(start, judged) + int(hits[0])
            delays.append((first - series.place(label.onset)) * (series.length / timedelta(hours=1)))
    weeks = int(quiet.sum()) * (series.length / timedelta(weeks=1))
    false = runs(flagged & quiet)
    return Found(
        method, threshold, series.group, 1, len(series.labels), len(delays), false, weeks, tuple(lengths), tuple(delays)
    )


def _both(one: Found, other: Found) -> Found:
    return Found(
        *(one.method, one.threshold, one.group, one.series + other.series, one.labels + other.labels),
        *(one.found + other.found, one.false_alarms + other.false_alarms, one.weeks + other.weeks),
        *(one.label_weeks + other.label_weeks, one.delays + other.delays),
    )


def as_table(found: Sequence[Found]) -> Table:
    """All groups together, then the labels found of each."""
    groups = sorted({each.group for each in found if each.labels})
    together = _grouped(found)
    any_method = next(iter(together.values()))
    table = Table(
        title=f"{sum(each.series for each in any_method)} recorded series with"
        f" {sum(each.labels for each in any_method)} labels"
    )
    for heading in ("method", "threshold", "precision", "recall", "by chance", "false/week", "delay, h", *groups):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for (method, threshold), own in together.items():
        by_group = {each.group: each for each in own}
        table.add_row(
            *(method, f"{threshold:g}", _share(_precision(own)), _share(_recall(own)), _share(_by_chance(own))),
            *(f"{_false_per_week(own):.2f}", "" if _delay(own) is None else f"{_delay(own):+.1f}"),
            *(f"{by_group[group].found}/{by_group[group].labels}" for group in groups),
        )
    return table


def as_json(found: Sequence[Found]) -> list[dict[str, Any]]:
    """One object per method and threshold, with what was found of each group."""
    return [
        {
            "method": method,
            "threshold": threshold,
            "series": sum(each.series for each in own),
            "labels": sum(each.labels for each in own),
            "found": sum(each.found for each in own),
            "false_alarms": sum(each.false_alarms for each in own),
            "precision": _precision(own),
            "recall": _recall(own),
            "recall_by_chance": _by_chance(own),
            "false_alarms_per_week": _false_per_week(own),
            "median_delay_hours": _delay(own),
            "groups": {each.group: {"labels": each.labels, "found": each.found} for each in own},
        }
        for (method, threshold), own in _grouped(found).items()
    ]


def _grouped(found: Sequence[Found]) -> dict[tuple[str, float], list[Found]]:
    groups: dict[tuple[str, float], list[Found]] = {}
    for each in found:
        groups.setdefault((each.method, each.threshold), []).append(each)
    return groups


def _precision(own: Sequence[Found]) -> float | None:
    found = sum(each.found for each in own)
    told = found + sum(each.false_alarms for each in own)
    return found / told if told else None


def _recall(own: Sequence[Found]) -> float | None:
    labels = sum(each.labels for each in own)
    return sum(each.found for each in own) / labels if labels else None


def _by_chance(own: Sequence[Found]) -> float | None:
    """The recall of flags that are as many as the false ones and fall anywhere: labels are long, some are hit."""
    hit = [
        1 - np.exp(-length * each.false_alarms / each.weeks)
        for each in own
        for length in each.label_weeks
        if each.weeks
    ]
    return float(np.mean(hit)) if hit else None


def _false_per_week(own: Sequence[Found]) -> float:
    """Of one series."""
    weeks = sum(each.weeks for each in own)
    return sum(each.false_alarms for each in own) / weeks if weeks else 0.0


def _delay(own: Sequence[Found]) -> float | None:
    delays = [delay for each in own for delay in each.delays]
    return float(np.median(delays)) if delays else None


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
