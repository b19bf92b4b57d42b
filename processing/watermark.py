"""The watermark: how far event time is complete. It decides finality and lateness, and never drops an event.

It is a value in the ledger and not a Spark operator, so it survives restarts and can be read by anyone.
"""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pyarrow as pa

PartitionTimes: TypeAlias = dict[str, tuple[int, int]]
"""`"topic-partition"` to (newest event time, newest broker time), both epoch milliseconds."""


def observe(times: PartitionTimes, events: pa.Table) -> PartitionTimes:
    """The partition times after an epoch's valid events; order-free."""
    newest = (
        events.select(["topic", "partition", "timestamp", "log_time"])
        .group_by(["topic", "partition"])
        .aggregate([("timestamp", "max"), ("log_time", "max")])
    )
    after = dict(times)
    for row in newest.to_pylist():
        name = f"{row['topic']}-{row['partition']}"
        event_ms, log_ms = _milliseconds(row["timestamp_max"]), _milliseconds(row["log_time_max"])
        before = after.get(name, (event_ms, log_ms))
        after[name] = (max(before[0], event_ms), max(before[1], log_ms))
    return after


def watermark(
    times: PartitionTimes, previous: datetime | None, *, allowed_lateness: timedelta, idle: timedelta
) -> datetime | None:
    """Newest event time of the slowest partition that is not idle, less the allowed lateness; it never goes back.

    A partition is idle when its newest record is older (broker time) than the newest of all by more than `idle`, so
    silence of one partition cannot hold back the rest, and silence of all moves nothing.
    """
    if not times:
        return previous
    newest_log_ms = max(log_ms for _, log_ms in times.values())
    idle_ms = idle // timedelta(milliseconds=1)
    slowest_ms = min(event_ms for event_ms, log_ms in times.values() if newest_log_ms - log_ms <= idle_ms)
    mark = datetime.fromtimestamp(slowest_ms / 1000, UTC) - allowed_lateness
    return mark if previous is None else max(previous, mark)


def _milliseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
