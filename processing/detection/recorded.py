"""Recorded series with labelled incidents, in the layout of the Numenta Anomaly Benchmark (NAB).

`data/GROUP/NAME.csv` has `timestamp,value` a line; `labels/combined_windows.json` has by file the stretches in which a
flag is right, `labels/combined_labels.json` the instants at which something began. Nothing of it comes with Millrace.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from processing.detection.detector import Values
from processing.detection.series import ORIGIN

_DATA: Final = "data"
_WINDOWS: Final = "labels/combined_windows.json"
_LABELS: Final = "labels/combined_labels.json"
_HOUR: Final = timedelta(hours=1)


T = TypeVar("T")


class LayoutError(ValueError):
    """The folder has not what it should; the message says what and where."""


@dataclass(frozen=True)
class Label:
    """An incident, [start, end), and when it began in there."""

    start: datetime
    end: datetime
    onset: datetime


@dataclass(frozen=True)
class Recorded:
    """One series on an even grid, NaN where nothing was recorded."""

    group: str
    name: str
    start: datetime
    length: timedelta
    values: Values
    counts: bool
    """Whether all values are whole and none is negative: then they are taken to count things."""
    labels: tuple[Label, ...]

    def place(self, instant: datetime) -> int:
        """The window in which it is."""
        return (instant - self.start) // self.length

    def by_hour(self) -> "Recorded":
        """The same by the hour: what is counted summed up, else the mean. An hour known in part is reckoned whole."""
        start = self.start - (self.start - ORIGIN) % _HOUR
        rows = [(self.start + number * self.length, value) for number, value in enumerate(self.values)]
        times = 60 / (self.length / timedelta(minutes=1)) if self.counts else 1.0
        values = _means([(at, value) for at, value in rows if not np.isnan(value)], start, _HOUR) * times
        return Recorded(self.group, self.name, start, _HOUR, values, self.counts, self.labels)


def read(folder: Path) -> list[Recorded]:
    """Every series that has labels, or is said to have none. Raises LayoutError."""
    windows, onsets = _json(folder / _WINDOWS), _json(folder / _LABELS)
    found = []
    for name in sorted(windows):
        path = folder / _DATA / name
        if not path.is_file():
            raise LayoutError(f"{folder / _WINDOWS} names {name}, and there is no {path}")
        labels = _told(folder / _WINDOWS, name, partial(_labels, name, windows, onsets))
        found.append(_series(path, name, labels))
    if not found:
        raise LayoutError(f"{folder / _WINDOWS} names no series")
    return found


def _series(path: Path, name: str, labels: tuple[Label, ...]) -> Recorded:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    points = _told(path, "timestamp,value", lambda: [(_at(row["timestamp"]), float(row["value"])) for row in rows])
    if len(points) < 2:
        raise LayoutError(f"{path}: fewer than two values are no series")
    steps = np.diff(sorted(at.timestamp() for at, _ in points))
    length = timedelta(minutes=max(round(float(np.median(steps)) / 60), 1))
    first = min(at for at, _ in points)
    start = first - (first - ORIGIN) % length
    whole = all(value >= 0 and value.is_integer() for _, value in points)
    return Recorded(name.partition("/")[0], name, start, length, _means(points, start, length), whole, labels)


def _means(points: list[tuple[datetime, float]], start: datetime, length: timedelta) -> Values:
    """The mean of what lies in each window; NaN where nothing does."""
    places = np.array([(at - start) // length for at, _ in points])
    sums = np.bincount(places, weights=[value for _, value in points])
    many = np.bincount(places)
    means: Values = np.divide(sums, many, out=np.full(len(sums), np.nan), where=many > 0)
    return means


def _labels(name: str, windows: dict[str, Any], onsets: dict[str, Any]) -> tuple[Label, ...]:
    """Each stretch with the first onset in it: what began close together has one stretch."""
    begun = sorted(map(_at, onsets[name]))
    stretches = [(_at(start), _at(end)) for start, end in windows[name]]
    return tuple(
        Label(start, end, next((onset for onset in begun if start <= onset <= end), start)) for start, end in stretches
    )


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LayoutError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise LayoutError(f"{path} is no object of series by name")
    return found


def _told(path: Path, what: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (KeyError, TypeError, ValueError) as error:
        raise LayoutError(f"{path}: {what}: {type(error).__name__} {error}") from error
