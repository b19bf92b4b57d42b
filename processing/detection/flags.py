"""Flags in the store: the windows that closed, and those that late events changed, judged and written down.

A window that is judged again has its rows changed, never added to: a flag is told by window, metric, scope and method.
Of a flag that late events took back the row stays, and stands no longer. What a late event does to windows *after* its
own, which are held against it among many others, is not looked at again.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from processing.detection import series
from processing.detection.contributions import contributions
from processing.detection.judging import DetectorsOf, Flag, judge
from processing.detection.watches import HOURLY, WATCHES, Watch
from processing.store import Transaction


@dataclass(frozen=True)
class Seen:
    """A committed state of the store: the newest epoch, and the event time before which all is final."""

    epoch: int
    watermark: datetime
    making: int = 0
    """The number of the last roll-up that was made."""


def find(
    transaction: Transaction, before: Seen | None, now: Seen, look_back: timedelta, detectors_of: DetectorsOf
) -> list[Flag]:
    """Judge what closed or changed from one state to another, write it down, and return the flags of it.

    Windows that ended longer than `look_back` before the watermark are not judged, changed or not.
    """
    oldest = now.watermark - look_back
    changed = _changed_minutes(transaction, before, oldest) if before else []
    found = []
    for watch in WATCHES:
        windows = _closed(watch, before.watermark if before else oldest, now.watermark, oldest)
        windows |= {series.floor(minute, watch.window) for minute in changed}
        windows = {start for start in windows if start + watch.window <= now.watermark}
        if windows:
            found += _judge(transaction, watch, windows, now, detectors_of)
    hours = _made_hours(transaction, before.making if before else 0, oldest)
    for watch in HOURLY if hours else ():
        found += _judge(transaction, watch, hours, now, detectors_of)
    return found


def _judge(
    transaction: Transaction, watch: Watch, windows: set[datetime], now: Seen, detectors_of: DetectorsOf
) -> list[Flag]:
    since, until = min(windows) - watch.history * watch.window, max(windows) + watch.window
    flags = list(judge(watch, series.read(transaction, watch, since, until), windows, detectors_of))
    _take_back(transaction, watch, windows, flags, now.epoch)
    for flag in flags:
        _write(transaction, watch, flag, now.epoch)
    return flags


def _closed(watch: Watch, after: datetime, until: datetime, oldest: datetime) -> set[datetime]:
    """Windows that end after one instant and by another."""
    start = series.floor(max(after, oldest), watch.window)
    found = set()
    while start + watch.window <= until:
        if start + watch.window > after:
            found.add(start)
        start += watch.window
    return found


def _changed_minutes(transaction: Transaction, before: Seen, oldest: datetime) -> list[datetime]:
    """Minutes of windows judged before to which something has come since."""
    rows = transaction.query(
        "SELECT DISTINCT minute FROM site_minutes WHERE last_epoch > $1 AND minute >= $2 AND minute < $3 AND NOT bot",
        (before.epoch, oldest, before.watermark),
    )
    return [minute.astimezone(UTC) for minute in rows["minute"].to_pylist()]


def _made_hours(transaction: Transaction, after: int, oldest: datetime) -> set[datetime]:
    """Hours whose roll-ups were made after a number: closed, and all that came late until then is in them."""
    rows = transaction.query(
        "SELECT starts_at FROM roll_ups WHERE grain = 'hour' AND making > $1 AND NOT stale"
        " AND starts_at + interval '1 hour' > $2",
        (after, oldest),
    )
    return {start.astimezone(UTC) for start in rows["starts_at"].to_pylist()}


def _take_back(
    transaction: Transaction, watch: Watch, windows: set[datetime], flags: Sequence[Flag], epoch: int
) -> None:
    kept = {(flag.window_start, flag.metric, flag.subject, flag.method) for flag in flags}
    standing = transaction.query(
        "SELECT window_start, metric, subject, method FROM anomalies WHERE standing AND scope = $1"
        " AND window_start >= $2 AND window_start <= $3"
        " AND window_end = window_start + make_interval(mins => $4::bigint::int)",
        (watch.scope, min(windows), max(windows), watch.window_minutes),
    ).to_pylist()
    for row in standing:
        start = row["window_start"].astimezone(UTC)
        if start in windows and (start, row["metric"], row["subject"], row["method"]) not in kept:
            transaction.execute(
                "UPDATE anomalies SET standing = false, epoch = $1, judged_at = clock_timestamp()"
                " WHERE window_start = $2 AND window_end = $3 AND metric = $4 AND scope = $5 AND subject = $6"
                " AND method = $7",
                (epoch, start, start + watch.window, row["metric"], watch.scope, row["subject"], row["method"]),
            )


def _write(transaction: Transaction, watch: Watch, flag: Flag, epoch: int) -> None:
    parts = json.dumps([asdict(each) for each in contributions(transaction, flag, watch)])
    transaction.execute(
        "INSERT INTO anomalies (window_start, window_end, metric, scope, subject, method, expected, observed, score,"
        " threshold, severity, direction, contributions, standing, epoch, model_version, judged_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::jsonb, true, $14, $15::bigint,"
        " clock_timestamp())"
        " ON CONFLICT (window_start, window_end, metric, scope, subject, method) DO UPDATE SET"
        " expected = excluded.expected, observed = excluded.observed, score = excluded.score,"
        " threshold = excluded.threshold, severity = excluded.severity, direction = excluded.direction,"
        " contributions = excluded.contributions, standing = true, epoch = excluded.epoch,"
        " model_version = excluded.model_version, judged_at = excluded.judged_at",
        (
            *(flag.window_start, flag.window_end, flag.metric, flag.scope, flag.subject, flag.method),
            *(flag.expected, flag.observed, flag.score, flag.threshold, flag.severity, flag.direction, parts, epoch),
            flag.model_version,
        ),
    )
