"""What was refused, why, and what it looked like."""

import base64
from dataclasses import replace
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Annotated

import strawberry

from contracts.rejections import TABLE
from serving.cursors import QUARANTINE, REJECTIONS, Key
from serving.queries import ResultRow
from serving.queries.paging import Page
from serving.queries.rejections import Refused, quarantine_samples, rejection_counts, rejection_samples
from serving.schema.common import Range, page_size
from serving.schema.comparison import CompareWith
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.history import AsOfCommit, committed
from serving.schema.scalars import Long

_EXPLANATIONS = {reason.value: explanation for reason, explanation in TABLE.items()}


@strawberry.type(description="How many events were refused for one reason.")
class RejectionCount:
    reason: str = strawberry.field(description="Stable code.")
    count: Long = strawberry.field(description="How many events or records.")
    source: str | None = strawberry.field(
        description="Name of the write key's source; null in the quarantine, which the gateway never saw."
    )

    meaning: str | None = strawberry.field(description="What the reason means; null of a code that is none any more.")
    remedy: str | None = strawberry.field(description="What the sender can do; null of such a code.")
    previous: "RejectionCount | None" = strawberry.field(
        description="The same in the earlier period; null without `compareWith`, and where there was none."
    )


@strawberry.enum(description="How `raw` is written.")
class RawEncoding(Enum):
    TEXT = strawberry.enum_value("text", description="As it is.")
    BASE64 = strawberry.enum_value("base64", description="In base64 (RFC 4648), since the bytes are no text.")


@strawberry.type(description="An event that the gateway refused, kept as it came.")
class RejectedEvent:
    id: strawberry.ID = strawberry.field(description="For `replayRejected`.")
    received_at: datetime = strawberry.field(description="By the gateway's clock.")
    source: str = strawberry.field(description="Name of the write key's source.")
    reason: str = strawberry.field(description="Stable code.")
    pointer: str = strawberry.field(description="JSON Pointer (RFC 6901) to the fault; empty for the whole event.")
    detail: str = strawberry.field(description="What exactly was wrong.")
    content_type: str = strawberry.field(description="Media type that it was sent as.")
    event_id: str | None = strawberry.field(description="As it was sent; null where none could be read.")
    raw: str = strawberry.field(description="What was sent.")
    raw_encoding: RawEncoding = strawberry.field(description="TEXT where the bytes are UTF-8, else BASE64.")
    truncated: bool = strawberry.field(description="Whether `raw` is only the beginning.")


Reason = Annotated[str | None, strawberry.argument(description="Only what was refused for it; without it, for any.")]

Source = Annotated[
    str | None, strawberry.argument(description="Only what the write key of this source sent; without it, of any.")
]


async def _samples(
    root: strawberry.Parent["Rejections"],
    info: Info,
    first: Annotated[int, strawberry.argument(description="Most events wanted.")] = 10,
    reason: Reason = None,
    source: Source = None,
) -> list[RejectedEvent]:
    page = Page(page_size("first", first, info))
    rows = await info.context.snapshot.rows(rejection_samples(page, root.which, reason=reason, source=source))
    return [_sample(row) for row in rows]


async def _samples_connection(
    root: strawberry.Parent["Rejections"],
    info: Info,
    *,
    reason: Reason = None,
    source: Source = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[RejectedEvent]:
    ask = partial(rejection_samples, which=root.which, reason=reason, source=source)
    which = Which(first, after, last, before)
    return await connection(info, REJECTIONS, which, ask, key=lambda row: _key(row, row.received_at), node=_sample)


def _key(row: ResultRow, time: datetime) -> Key[datetime]:
    return Key(time, (row.topic, row.partition, row.offset))


@strawberry.type(description="A record in the log that does not decode to an event: somebody wrote past the gateway.")
class QuarantinedRecord:
    topic: str = strawberry.field(description="With `partition` and `offset`: where the record is in Kafka.")
    partition: int = strawberry.field(description="Partition of the topic.")
    offset: Long = strawberry.field(description="Place in the partition.")
    epoch: Long = strawberry.field(description="The epoch that read it.")
    log_time: datetime = strawberry.field(description="The broker's time of it.")
    reason: str = strawberry.field(description="Stable code.")
    raw: str = strawberry.field(description="Its value, at most 64 KiB of it.")
    raw_encoding: RawEncoding = strawberry.field(description="TEXT where the bytes are UTF-8, else BASE64.")


async def _quarantined(
    root: strawberry.Parent["Rejections"],
    info: Info,
    first: Annotated[int, strawberry.argument(description="Most records wanted.")] = 10,
    reason: Reason = None,
) -> list[QuarantinedRecord]:
    page = Page(page_size("first", first, info))
    rows = await info.context.snapshot.rows(quarantine_samples(page, root.which, reason=reason))
    return [_record(row) for row in rows]


async def _quarantined_connection(
    root: strawberry.Parent["Rejections"],
    info: Info,
    *,
    reason: Reason = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[QuarantinedRecord]:
    ask, which = partial(quarantine_samples, which=root.which, reason=reason), Which(first, after, last, before)
    return await connection(info, QUARANTINE, which, ask, key=lambda row: _key(row, row.log_time), node=_record)


def _record(row: ResultRow) -> QuarantinedRecord:
    raw, encoding = readable(row.raw)
    place = {"topic": row.topic, "partition": row.partition, "offset": row.offset}
    read = {"epoch": row.epoch, "log_time": row.log_time, "reason": row.reason}
    return QuarantinedRecord(**place, **read, raw=raw, raw_encoding=encoding)


@strawberry.type(description="What was refused in an earlier period, also for reasons that are none any more.")
class EarlierRejections:
    rejected: Long = strawberry.field(description="Events the gateway refused.")
    quarantined: Long = strawberry.field(description="Records in the log that do not decode to an event.")


@strawberry.type(description="What was refused in a range of time.")
class Rejections:
    rejected: Long = strawberry.field(description="Events the gateway refused.")
    quarantined: Long = strawberry.field(description="Records in the log that do not decode to an event.")
    by_reason: list[RejectionCount] = strawberry.field(
        description="The refused events by reason and source, most first."
    )
    quarantine_by_reason: list[RejectionCount] = strawberry.field(
        description="The quarantined records by reason, most first."
    )
    samples: list[RejectedEvent] = strawberry.field(resolver=_samples, description="The newest refused events.")
    quarantine_samples: list[QuarantinedRecord] = strawberry.field(
        resolver=_quarantined, description="The newest quarantined records."
    )
    samples_connection: Connection[RejectedEvent] = strawberry.field(
        resolver=_samples_connection, description="All refused events, newest first (Relay)."
    )
    quarantine_samples_connection: Connection[QuarantinedRecord] = strawberry.field(
        resolver=_quarantined_connection, description="All quarantined records, newest first (Relay)."
    )
    previous: EarlierRejections | None = strawberry.field(
        description="All of it in the earlier period; null without `compareWith`."
    )
    which: strawberry.Private[Refused]


async def rejections(
    info: Info, range: Range, compare_with: CompareWith = None, as_of: AsOfCommit = None
) -> Rejections:
    """Counts by the gateway's time of receipt, or the broker's time for the quarantine."""
    which = Refused(range.span(), await committed(info, as_of))
    earlier = replace(which, span=compare_with.span(which.span)) if compare_with is not None else None
    rows = await info.context.snapshot.rows(rejection_counts(which, earlier))
    counts = [_count(row, row._mapping["count"], row.before) for row in rows if row._mapping["count"]]
    by_reason = [count for count in counts if count.source is not None]
    quarantine = [count for count in counts if count.source is None]
    return Rejections(
        rejected=Long(sum(count.count for count in by_reason)),
        quarantined=Long(sum(count.count for count in quarantine)),
        by_reason=by_reason,
        quarantine_by_reason=quarantine,
        previous=EarlierRejections(
            rejected=Long(sum(row.before for row in rows if row.source is not None)),
            quarantined=Long(sum(row.before for row in rows if row.source is None)),
        )
        if earlier is not None
        else None,
        which=which,
    )


def _count(row: ResultRow, count: int, before: int = 0) -> RejectionCount:
    explanation = _EXPLANATIONS.get(row.reason)
    return RejectionCount(
        reason=row.reason,
        source=row.source,
        count=Long(count),
        meaning=explanation.meaning if explanation else None,
        remedy=explanation.remedy if explanation else None,
        previous=_count(row, before) if before else None,
    )


def readable(raw: bytes) -> tuple[str, RawEncoding]:
    """The bytes as text where they are UTF-8, else in base64."""
    try:
        return raw.decode(), RawEncoding.TEXT
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode("ascii"), RawEncoding.BASE64


def _sample(row: ResultRow) -> RejectedEvent:
    raw, encoding = readable(row.raw)
    return RejectedEvent(
        id=strawberry.ID(row.rejection_id),
        received_at=row.received_at,
        source=row.source,
        reason=row.reason,
        pointer=row.pointer,
        detail=row.detail,
        content_type=row.content_type,
        event_id=row.event_id,
        raw=raw,
        raw_encoding=encoding,
        truncated=row.truncated,
    )
