"""Every series that is watched by the hour, a day ahead, written down in one transaction.

A forecast of an hour is made anew with every hour that closes, until the hour itself does: then the last one stays
beside what happened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final

import numpy as np

from contracts.rollups import HOUR
from contracts.settings import PostgresSettings
from processing import ledger
from processing.detection.series import ORIGIN
from processing.detection.training import last_hour, series_by_hour
from processing.detection.watches import LEARNT_HOURS, MONEY
from processing.forecasting.outlook import Outlook, outlook
from processing.store import Transaction, one_transaction

Tell = Callable[[str, int, int], None]
Key = tuple[str, str, str]
"""Scope, subject and metric."""

AHEAD: Final = 24
"""Hours."""
METRICS: Final = frozenset({"views", "purchases", "revenue"})
_KEPT: Final = timedelta(days=28)


@dataclass(frozen=True)
class Forecast:
    """What was made."""

    series: int
    until: datetime | None
    """The end of the last hour that was known; None: nothing was made."""
    why: str = ""
    """Where nothing was: the reason."""
    seconds: float = 0.0


def forecast(postgres: PostgresSettings, tell: Tell, *, due: bool) -> Forecast:
    """Make all forecasts; with `due`, only if an hour has closed since the last ones."""
    begun = perf_counter()
    with one_transaction(postgres, postgres.db_schema) as transaction:
        until = last_hour(transaction)
        if until is None:
            return Forecast(0, None, "no hour of the shop is closed yet")
        if due and _made_until(transaction) == until:
            return Forecast(0, None, "no hour has closed since the last forecast")
        since = until - LEARNT_HOURS * HOUR
        wanted = [pair for pair in series_by_hour(transaction, since, until) if pair[1].metric in METRICS]
    found: dict[Key, Outlook] = {}
    for done, (watch, series) in enumerate(wanted):
        tell("forecast", done, len(wanted))
        made = outlook(series.values, (since - ORIGIN) // HOUR, AHEAD, counts=series.metric not in MONEY)
        if made is not None:
            found[watch.scope, series.subject, series.metric] = made
    if not found:
        return Forecast(0, None, "three days of hours with something in them are the least to tell from")
    with one_transaction(postgres, postgres.db_schema) as transaction:
        _write(transaction, found, until)
    return Forecast(len(found), until, seconds=round(perf_counter() - begun, 3))


def _made_until(transaction: Transaction) -> datetime | None:
    (until,) = transaction.query("SELECT max(made_until) AS until FROM forecasts")["until"].to_pylist()
    return until.astimezone(UTC) if until else None


def _write(transaction: Transaction, found: dict[Key, Outlook], until: datetime) -> None:
    # Of what is not forecast any more, nothing is left that might be taken for a forecast.
    transaction.execute("DELETE FROM forecasts WHERE hour >= $1 OR hour < $2", (until, until - _KEPT))
    hours = [until + ahead * HOUR for ahead in range(AHEAD)]
    for (scope, subject, metric), each in found.items():
        values = (np.round(numbers, 4).tolist() for numbers in (each.expected, each.low, each.high))
        transaction.execute(
            "INSERT INTO forecasts (scope, subject, metric, hour, expected, low, high, made_until, made_at)"
            " SELECT $1, $2, $3, *, $8, clock_timestamp()"
            " FROM unnest($4::timestamptz[], $5::float8[], $6::float8[], $7::float8[])"
            " AS ahead (hour, expected, low, high) WHERE expected <> 'NaN'",
            (scope, subject, metric, hours, *values, until),
        )
    ledger.tell_change(transaction)
