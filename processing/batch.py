"""One epoch's decoded records, sorted into what they are, outside Spark: Arrow in, Arrow out.

records = events + quarantined + rejected, always; duplicates are told apart later, among the events.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypedDict

import pyarrow as pa
import pyarrow.compute as pc

from contracts.topics import EVENT_TOPICS
from processing.enrichment.enrich import ENRICHED, Enricher

EVENT_TOPIC_NAMES: Final = [topic.name for topic in EVENT_TOPICS]

OFFSETS: Final = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("from_offset", pa.int64()),
        ("until_offset", pa.int64()),
        ("records", pa.int64()),
    ]
)

EVENT_LOG: Final = pa.schema(
    [
        ("date", pa.date32()),
        ("epoch", pa.int64()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("log_time", pa.timestamp("us", "UTC")),
        ("received_at", pa.timestamp("us", "UTC")),
        ("source", pa.string()),
        ("client_ip", pa.string()),
        ("imported", pa.bool_()),
        ("late", pa.bool_()),
        ("event_id", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("user_id", pa.string()),
        ("session_id", pa.string()),
        ("product_id", pa.string()),
        ("category", pa.string()),
        ("action", pa.string()),
        ("page_url", pa.string()),
        ("referrer", pa.string()),
        ("user_agent", pa.string()),
        ("search_query", pa.string()),
        ("properties", pa.map_(pa.string(), pa.string())),
        ("amount", pa.decimal128(18, 4)),
        ("quantity", pa.int32()),
        ("payment_method", pa.string()),
        ("order_id", pa.string()),
        ("currency", pa.string()),
        ("kind", pa.string()),
        *ENRICHED,
    ]
)
"""The event log's columns: what Delta holds, and the view `events` that every projection's delta is written over."""


class Spans(TypedDict):
    """What was read."""

    offsets: pa.Table
    """A row per partition; columns of `OFFSETS`, until exclusive."""
    newest_log_time: datetime


@dataclass(frozen=True)
class Batch:
    """The records of one epoch, each in one of the tables."""

    events: pa.Table
    """Valid events of both topics, still with duplicates; columns of `processing.judge`."""
    quarantined: pa.Table
    """topic, partition, offset, log_time, quarantine (the reason), raw."""
    rejected: pa.Table
    """topic, partition, offset and the fields that the gateway wrote."""
    offsets: pa.Table
    newest_log_time: datetime

    @property
    def records(self) -> int:
        count: int = self.events.num_rows + self.quarantined.num_rows + self.rejected.num_rows
        return count


def span_of(parts: list[pa.Table]) -> Spans:
    """The offsets that the parts of a batch span. At least one record must be in them."""
    places = pa.concat_tables([part.select(["topic", "partition", "offset", "log_time"]) for part in parts])
    spans = places.group_by(["topic", "partition"]).aggregate(
        [("offset", "min"), ("offset", "max"), ("offset", "count")]
    )
    offsets = pa.table(
        [
            spans["topic"],
            spans["partition"],
            spans["offset_min"],
            pc.add(spans["offset_max"], 1),
            spans["offset_count"],
        ],
        schema=OFFSETS,
    )
    return Spans(offsets=offsets, newest_log_time=pc.max(places["log_time"]).as_py().astimezone(UTC))


def event_rows(events: pa.Table, epoch: int, watermark: datetime | None, enricher: Enricher) -> pa.Table:
    """Deduplicated events as rows of the log. Late: older than the watermark that stood before this epoch."""
    count = events.num_rows
    if watermark is None:
        late: pa.Array | pa.ChunkedArray = pa.repeat(False, count)
    else:
        mark = pa.scalar(watermark, pa.timestamp("us", "UTC"))
        late = pc.and_(pc.less(events["timestamp"], mark), pc.invert(events["imported"]))
    derived = {
        "date": pc.cast(events["timestamp"], pa.date32()),
        "epoch": pa.repeat(pa.scalar(epoch, pa.int64()), count),
        "received_at": pc.cast(pc.cast(events["received_at"], pa.timestamp("ms", "UTC")), pa.timestamp("us", "UTC")),
        "late": late,
    }
    enriched = enricher.enrich(events)
    columns = [derived[name] if name in derived else enriched[name] for name in EVENT_LOG.names]
    return pa.table(
        [column.cast(field.type) for column, field in zip(columns, EVENT_LOG, strict=True)], schema=EVENT_LOG
    )
