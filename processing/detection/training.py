"""A training: every series that is watched by the hour is learnt from, and the models are written as one version.

What it takes is seconds of a processor, so it is no transaction: hours are read in one, models written in another.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final

import numpy as np

from contracts.rollups import HOUR
from contracts.settings import PostgresSettings
from processing.detection import models
from processing.detection.models import Model
from processing.detection.season import Season
from processing.detection.series import ORIGIN, Series, read
from processing.detection.watches import HOURLY, LEARNT_HOURS, MONEY, Watch
from processing.store import Transaction, one_transaction

Tell = Callable[[str, int, int], None]

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('millrace-training:' || current_schema(), 0))"
"""Two trainings at once take turns: each has a version of its own."""


@dataclass(frozen=True)
class Training:
    """What a training came to."""

    version: int | None
    """None: nothing was trained."""
    why: str
    """Where nothing was: the reason."""
    models: int = 0
    series: int = 0
    since: datetime | None = None
    until: datetime | None = None
    seconds: float = 0.0


def train(
    postgres: PostgresSettings, thresholds: Mapping[str, float], tell: Tell, every: timedelta = timedelta(0)
) -> Training:
    """Train all methods that have a threshold, unless the last training is younger than `every`."""
    begun = perf_counter()
    with one_transaction(postgres, postgres.db_schema) as transaction:
        if not _is_due(transaction, every):
            return Training(None, "the last training is young enough")
        until = last_hour(transaction)
        if until is None:
            return Training(None, "no hour of the shop is closed yet")
        since = until - LEARNT_HOURS * HOUR
        wanted = list(series_by_hour(transaction, since, until))
    place = (since - ORIGIN) // HOUR
    found: list[Model] = []
    learnt = 0
    for done, (watch, series) in enumerate(wanted):
        tell("train", done, len(wanted))
        season = Season.learn(series.values, place, counts=series.metric not in MONEY)
        if season is None:
            continue
        learnt += 1
        known = int(np.sum(~np.isnan(series.values)))
        for method, threshold in models.methods_of(thresholds):
            detector = method.train(season, series.values, place, threshold)
            found.append(Model((watch.scope, series.subject, series.metric), detector, known))
    if not found:
        return Training(None, "three days of hours with something in them are the least to learn from")
    with one_transaction(postgres, postgres.db_schema) as transaction:
        transaction.execute(_LOCK)
        version = models.write(transaction, found, since, until)
    return Training(version, "", len(found), learnt, since, until, round(perf_counter() - begun, 3))


def _is_due(transaction: Transaction, every: timedelta) -> bool:
    rows = transaction.query(
        "SELECT FROM detector_models WHERE trained_at > clock_timestamp() - $1 * interval '1 second' LIMIT 1",
        (every.total_seconds(),),
    )
    return not rows.num_rows


def last_hour(transaction: Transaction) -> datetime | None:
    """The end of the last hour that is made."""
    (start,) = transaction.query(
        "SELECT max(starts_at) AS last FROM roll_ups WHERE grain = 'hour' AND making IS NOT NULL"
    )["last"].to_pylist()
    return start.astimezone(UTC) + HOUR if start else None


def series_by_hour(transaction: Transaction, since: datetime, until: datetime) -> Iterator[tuple[Watch, Series]]:
    """All series that are watched by the hour and in which there is ever enough to be judged."""
    for watch in HOURLY:
        for series in read(transaction, watch, since, until).series:
            if np.nanmax(series.volume, initial=0.0) >= watch.minimum:
                yield watch, series
