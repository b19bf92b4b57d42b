"""Metrics by window, read from the minute tables or by hour from the roll-ups: one statement per watch, people only.

A window in which the whole site was silent is no zero but unknown: the shop was closed, or what measures it was. That
the site is silent is told by the rules on data; nothing is expected from such windows and nothing is flagged in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from processing.detection.detector import Values
from processing.detection.watches import SCOPES, Watch
from processing.store import Transaction

ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Windows are aligned to it."""


@dataclass(frozen=True)
class Series:
    """One metric of one subject in consecutive windows."""

    subject: str
    metric: str
    values: Values
    """Null (NaN) where the site was silent."""
    volume: Values
    """What the watch's minimum is held against: the values, or of money the purchases."""


@dataclass(frozen=True)
class Block:
    """All series of a watch over one stretch of time."""

    starts: tuple[datetime, ...]
    """Of the windows, each following the last."""
    series: tuple[Series, ...]


def floor(instant: datetime, length: timedelta) -> datetime:
    """The last window's edge at or before the instant."""
    return instant - (instant - ORIGIN) % length


def read(transaction: Transaction, watch: Watch, since: datetime, until: datetime) -> Block:
    """The windows of a watch from one edge to another.

    An hour whose roll-up is not made yet, or waits to be made again, is what the roll-up says: nothing, or what it was
    before.
    """
    starts = tuple(since + number * watch.window for number in range((until - since) // watch.window))
    scope = SCOPES[watch.scope]
    columns = _columns(watch)
    sums = ", ".join(f"sum({name})::float8 AS {name}" for name in columns)
    source, site = watch.source(watch.scope), watch.source("site")
    starts_at = f"date_bin(make_interval(mins => $1::bigint::int), {source.time}, '1970-01-01Z') AS starts_at"
    within = f"{source.time} >= $2 AND {source.time} < $3 AND NOT bot"
    subject, chosen = "''", ""
    if scope.subject is not None:
        subject = scope.subject
        chosen = (
            f" AND {subject} IN (SELECT {subject} FROM {source.table} WHERE {within} AND {subject} <> ''"
            f" GROUP BY 1 ORDER BY sum(events) DESC, 1 LIMIT {watch.subjects})"
        )
    rows = transaction.query(
        f"SELECT {starts_at}, {subject} AS subject, {sums} FROM {source.table} WHERE {within}{chosen} GROUP BY 1, 2",
        (watch.window_minutes, since, until),
    )
    alive = transaction.query(
        f"SELECT DISTINCT {starts_at} FROM {site.table} WHERE {within} AND events > 0",
        (watch.window_minutes, since, until),
    )
    return Block(starts, _spread(watch, starts, rows, alive["starts_at"]))


def _columns(watch: Watch) -> list[str]:
    return list(dict.fromkeys((*watch.metrics, *(("purchases",) if "revenue" in watch.metrics else ()))))


def _spread(watch: Watch, starts: Sequence[datetime], rows: pa.Table, alive: pa.ChunkedArray) -> tuple[Series, ...]:
    """Rows, of which there are none for windows without events, as series without gaps."""
    places = {start: place for place, start in enumerate(starts)}
    silent = np.ones(len(starts), dtype=bool)
    for start in alive.to_pylist():
        silent[places[start.astimezone(UTC)]] = False
    at = np.array([places[start.astimezone(UTC)] for start in rows["starts_at"].to_pylist()], dtype=int)
    subjects = np.array(rows["subject"].to_pylist(), dtype=object)
    sums = {name: rows[name].to_numpy() for name in _columns(watch)}
    found = []
    for subject in sorted(set(subjects)):
        own = subjects == subject
        dense = {}
        for name, column in sums.items():
            values = np.zeros(len(starts))
            values[at[own]] = column[own]
            values[silent] = np.nan
            dense[name] = values
        found += [
            Series(str(subject), metric, dense[metric], dense["purchases" if metric == "revenue" else metric])
            for metric in watch.metrics
        ]
    return tuple(found)
