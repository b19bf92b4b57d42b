"""The ledger's lines as the event log tells them: what each epoch applied, and the state after it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from processing.restore.logged import Part, Partition
from processing.watermark import PartitionTimes, watermark

_TIME: Final = pa.timestamp("us", "UTC")
COLUMNS: Final = pa.schema(
    [
        ("epoch", pa.int64()),
        ("newest_log_time", _TIME),
        ("offsets", pa.string()),
        ("event_time_by_partition", pa.string()),
        ("watermark", _TIME),
        *((name, pa.int64()) for name in ("records", "applied", "duplicates", "conflicts", "quarantined")),
        *((name, pa.int64()) for name in ("late", "imported")),
    ]
)


def lines(
    parts: Iterable[Part],
    first: Mapping[Partition, int],
    unapplied: Mapping[int, Counter[str]],
    *,
    last_epoch: int,
    allowed_lateness: timedelta,
    idle: timedelta,
) -> pa.Table:
    """A row per epoch that applied anything, and one of `last_epoch`; columns of `COLUMNS`.

    `first` is where the books of a partition begin; `unapplied` counts, by epoch, what was not applied, by names of the
    ledger. What else an epoch read since its last event of a partition counts as read by the next one.
    """
    rows: list[dict[str, Any]] = []
    times: PartitionTimes = {}
    mark: datetime | None = None
    ends = dict(first)
    for epoch, of_epoch in groupby(parts, key=lambda part: part.epoch):
        offsets: dict[str, dict[str, list[int]]] = {}
        counts = Counter(unapplied.get(epoch, {}))
        for part in of_epoch:
            place = part.topic, part.partition
            offsets.setdefault(part.topic, {})[str(part.partition)] = [ends[place], part.until_offset]
            ends[place] = part.until_offset
            name = f"{part.topic}-{part.partition}"
            event_ms, log_ms = times.get(name, (part.event_ms, part.log_ms))
            times[name] = (max(event_ms, part.event_ms), max(log_ms, part.log_ms))
            counts.update(applied=part.applied, late=part.late, imported=part.imported)
        mark = watermark(times, mark, allowed_lateness=allowed_lateness, idle=idle)
        counts["records"] = counts["applied"] + counts["duplicates"] + counts["quarantined"]
        rows.append(_row(epoch, offsets, times, mark) | counts)
    if rows and rows[-1]["epoch"] < last_epoch:  # it applied nothing
        rows.append(_row(last_epoch, {}, times, mark))
    return pa.Table.from_pylist([dict.fromkeys(COLUMNS.names[5:], 0) | row for row in rows], schema=COLUMNS)


def _row(
    epoch: int, offsets: dict[str, dict[str, list[int]]], times: PartitionTimes, mark: datetime | None
) -> dict[str, Any]:
    newest = max(log_ms for _, log_ms in times.values())
    return {
        "epoch": epoch,
        "newest_log_time": datetime.fromtimestamp(newest / 1000, UTC),
        "offsets": json.dumps(offsets),
        "event_time_by_partition": json.dumps(times),
        "watermark": mark,
    }
