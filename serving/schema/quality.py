"""Roots about data quality: how late events come, and which came twice. What was refused is in `rejections`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import strawberry

from serving.cursors import DUPLICATES, Key
from serving.queries import ResultRow
from serving.queries.paging import Page
from serving.queries.quality import duplicate_counts, duplicate_samples
from serving.queries.quality import lateness as lateness_sql
from serving.schema.common import TimeRange, check_kept, page_size
from serving.schema.comparison import CompareWith, row_before
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.history import AsOfCommit, committed
from serving.schema.scalars import Long
from serving.windows import Span, minute_edges


@strawberry.type(description="Events that were about as old as one another when they arrived.")
class LatenessBucket:
    up_to: timedelta | None = strawberry.field(
        description="Oldest age in it: one of PT1S, PT5S, PT15S, PT1M, PT5M, PT15M, PT1H, PT6H, P1D and P7D. It holds "
        "what is older than the bound before it; null holds what is older than all of them."
    )
    events: Long = strawberry.field(description="Events of this age.")
    late: Long = strawberry.field(description="Those that the watermark had passed.")
    share: float = strawberry.field(description="`events` by those of all buckets: 0 to 1.")
    cumulative_share: float = strawberry.field(description="Share of the events of this age or younger: 0 to 1.")
    previous: "LatenessBucket | None" = strawberry.field(
        description="The same bucket in the earlier period; null without `compareWith`, and where it had no event."
    )


@strawberry.type
class Arrivals:
    events: Long = strawberry.field(description="Events that arrived.")
    late: Long = strawberry.field(description="Those that the watermark had passed; they are counted all the same.")
    late_share: float | None = strawberry.field(description="`late` by `events`: 0 to 1; null where there is none.")


@strawberry.type(description="How many events arrived in an earlier period.")
class EarlierArrivals(Arrivals):
    pass


@strawberry.type(
    description="How old events were when they reached the log: the broker's time less the event's. Imported events "
    "are left out: they are old on purpose."
)
class Lateness(Arrivals):
    buckets: list[LatenessBucket] = strawberry.field(description="Youngest first; buckets without events are left out.")
    previous: EarlierArrivals | None = strawberry.field(
        description="The same of the earlier period; null without `compareWith`."
    )


Arrived = Annotated[TimeRange, strawberry.argument(description="Events that arrived in minutes that begin in it.")]


async def lateness(info: Info, range: Arrived, compare_with: CompareWith = None) -> Lateness:
    """A histogram over the minutes of arrival."""
    spans = [range.span()]
    if compare_with is not None:
        spans.append(compare_with.span(spans[0]))
    periods = [minute_edges((span.start, span.end)) for span in spans]
    as_of = await info.context.snapshot.as_of()
    for edges in periods:
        check_kept(edges, as_of)
    told = {number: edges for number, edges in enumerate(periods) if len(edges) > 1}  # else no minute begins in it
    rows = await info.context.snapshot.rows(lateness_sql(told)) if told else []
    now, *then = [[row for row in rows if row.period == number] for number, _ in enumerate(periods)]
    earlier = {bucket.up_to: bucket for each in then for bucket in _buckets(each, {})}
    return Lateness(
        **_arrivals(now),
        buckets=_buckets(now, earlier),
        previous=EarlierArrivals(**_arrivals(then[0])) if then else None,
    )


def _arrivals(rows: Sequence[ResultRow]) -> dict[str, Any]:
    events, late = sum(row.events for row in rows), sum(row.late for row in rows)
    return {"events": Long(events), "late": Long(late), "late_share": late / events if events else None}


def _buckets(rows: Sequence[ResultRow], earlier: Mapping[timedelta | None, LatenessBucket]) -> list[LatenessBucket]:
    events, so_far, buckets = sum(row.events for row in rows), 0, []
    for row in rows:
        so_far += row.events
        up_to = timedelta(seconds=row.up_to_seconds) if row.up_to_seconds >= 0 else None
        buckets.append(
            LatenessBucket(
                up_to=up_to,
                events=row.events,
                late=row.late,
                share=row.events / events,
                cumulative_share=so_far / events,
                previous=earlier.get(up_to),
            )
        )
    return buckets


@strawberry.type(description="A record whose event had been applied before; it was not counted again.")
class Duplicate:
    event_id: str = strawberry.field(description="Of this record and of the first one.")
    conflict: bool = strawberry.field(
        description="Whether its payload is not that of the first, which is the one that counts."
    )
    topic: str = strawberry.field(description="With `partition` and `offset`: where the record is in Kafka.")
    partition: int = strawberry.field(description="Partition of the topic.")
    offset: Long = strawberry.field(description="Place in the partition.")
    epoch: Long = strawberry.field(description="The epoch that read it.")
    first_epoch: Long = strawberry.field(description="The epoch that applied the first one.")
    committed_at: datetime = strawberry.field(description="When `epoch` was committed.")


Conflict = Annotated[
    bool | None, strawberry.argument(description="Only conflicts, or only plain copies; without it both.")
]


async def _samples(
    root: strawberry.Parent["Duplicates"],
    info: Info,
    first: Annotated[int, strawberry.argument(description="Most records wanted.")] = 10,
    conflict: Conflict = None,
) -> list[Duplicate]:
    page = Page(page_size("first", first, info))
    statement = duplicate_samples(page, root.span, root.through, conflict=conflict)
    return [_duplicate(row) for row in await info.context.snapshot.rows(statement)]


async def _samples_connection(
    root: strawberry.Parent["Duplicates"],
    info: Info,
    *,
    conflict: Conflict = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Duplicate]:
    ask = partial(duplicate_samples, span=root.span, through=root.through, conflict=conflict)
    which = Which(first, after, last, before)
    return await connection(info, DUPLICATES, which, ask, key=_key, node=_duplicate)


def _key(row: ResultRow) -> Key[int]:
    return Key(row.epoch, (row.topic, row.partition, row.offset))


def _duplicate(row: ResultRow) -> Duplicate:
    return Duplicate(**{name: row._mapping[name] for name in Duplicate.__annotations__})


@strawberry.type(description="How many events came more than once in an earlier period.")
class EarlierDuplicates:
    duplicates: Long = strawberry.field(description="Records whose event had been applied before.")
    conflicts: Long = strawberry.field(description="Those with another payload than the first.")


@strawberry.type(description="Events that came more than once, in epochs committed in a range of time.")
class Duplicates:
    duplicates: Long = strawberry.field(description="Records whose event had been applied before.")
    conflicts: Long = strawberry.field(description="Those with another payload than the first.")
    samples: list[Duplicate] = strawberry.field(resolver=_samples, description="The newest of them.")
    samples_connection: Connection[Duplicate] = strawberry.field(
        resolver=_samples_connection, description="All of them, newest first (Relay)."
    )
    previous: EarlierDuplicates | None = strawberry.field(
        description="How many in the earlier period; null without `compareWith`."
    )
    span: strawberry.Private[Span]
    through: strawberry.Private[int | None]


Committed = Annotated[TimeRange, strawberry.argument(description="Epochs that were committed in it.")]


async def duplicates(
    info: Info, range: Committed, compare_with: CompareWith = None, as_of: AsOfCommit = None
) -> Duplicates:
    """Counts from the ledger; the records themselves under `samples`."""
    span, through = range.span(), await committed(info, as_of)
    earlier = compare_with.span(span) if compare_with is not None else None
    (row,) = await info.context.snapshot.rows(duplicate_counts(span, earlier, through))
    before = row_before(row._mapping, "duplicates")
    return Duplicates(
        duplicates=row.duplicates,
        conflicts=row.conflicts,
        previous=EarlierDuplicates(**before) if before is not None else None,
        span=span,
        through=through,
    )
