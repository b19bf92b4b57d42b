"""Roots about data quality: how late events come, and which came twice. What was refused is in `rejections`."""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry

from serving.queries.quality import duplicate_counts, duplicate_samples
from serving.queries.quality import lateness as lateness_sql
from serving.schema.common import TimeRange, check_kept, page_size
from serving.schema.context import Info
from serving.schema.scalars import Long
from serving.windows import Span, minute_edges


@strawberry.type(description="Events that were about as old as one another when they arrived.")
class LatenessBucket:
    up_to: timedelta | None = strawberry.field(
        description="Oldest age in it: one of PT1S, PT5S, PT15S, PT1M, PT5M, PT15M, PT1H, PT6H, P1D and P7D. It holds "
        "what is older than the bound before it; null holds what is older than all of them."
    )
    events: Long
    late: Long = strawberry.field(description="Those that the watermark had passed.")
    share: float = strawberry.field(description="`events` by those of all buckets: 0 to 1.")
    cumulative_share: float = strawberry.field(description="Share of the events of this age or younger: 0 to 1.")


@strawberry.type(
    description="How old events were when they reached the log: the broker's time less the event's. Imported events "
    "are left out: they are old on purpose."
)
class Lateness:
    events: Long
    late: Long = strawberry.field(description="Those that the watermark had passed; they are counted all the same.")
    late_share: float | None = strawberry.field(description="`late` by `events`: 0 to 1; null where there is none.")
    buckets: list[LatenessBucket] = strawberry.field(description="Youngest first; buckets without events are left out.")


Arrived = Annotated[TimeRange, strawberry.argument(description="Events that arrived in minutes that begin in it.")]


async def lateness(info: Info, range: Arrived) -> Lateness:
    """A histogram over the minutes of arrival."""
    span = range.span()
    edges = minute_edges((span.start, span.end))
    check_kept(edges, await info.context.snapshot.as_of())
    rows = await info.context.snapshot.rows(lateness_sql(edges)) if len(edges) > 1 else []
    events, late = sum(row.events for row in rows), sum(row.late for row in rows)
    buckets, so_far = [], 0
    for row in rows:
        so_far += row.events
        buckets.append(
            LatenessBucket(
                up_to=timedelta(seconds=row.up_to_seconds) if row.up_to_seconds >= 0 else None,
                events=row.events,
                late=row.late,
                share=row.events / events,
                cumulative_share=so_far / events,
            )
        )
    return Lateness(events=Long(events), late=Long(late), late_share=late / events if events else None, buckets=buckets)


@strawberry.type(description="A record whose event had been applied before; it was not counted again.")
class Duplicate:
    event_id: str
    conflict: bool = strawberry.field(
        description="Whether its payload is not that of the first, which is the one that counts."
    )
    topic: str = strawberry.field(description="With `partition` and `offset`: where the record is in Kafka.")
    partition: int
    offset: Long
    epoch: Long = strawberry.field(description="The epoch that read it.")
    first_epoch: Long = strawberry.field(description="The epoch that applied the first one.")
    committed_at: datetime = strawberry.field(description="When `epoch` was committed.")


async def _samples(
    root: strawberry.Parent["Duplicates"],
    info: Info,
    first: int = 10,
    conflict: Annotated[
        bool | None, strawberry.argument(description="Only conflicts, or only plain copies; without it both.")
    ] = None,
) -> list[Duplicate]:
    size = page_size("first", first, info)
    rows = await info.context.snapshot.rows(duplicate_samples(root.span, conflict, size))
    return [Duplicate(**row._mapping) for row in rows]


@strawberry.type(description="Events that came more than once, in epochs committed in a range of time.")
class Duplicates:
    duplicates: Long = strawberry.field(description="Records whose event had been applied before.")
    conflicts: Long = strawberry.field(description="Those with another payload than the first.")
    samples: list[Duplicate] = strawberry.field(resolver=_samples, description="The newest of them.")
    span: strawberry.Private[Span]


Committed = Annotated[TimeRange, strawberry.argument(description="Epochs that were committed in it.")]


async def duplicates(info: Info, range: Committed) -> Duplicates:
    """Counts from the ledger; the records themselves under `samples`."""
    span = range.span()
    (row,) = await info.context.snapshot.rows(duplicate_counts(span))
    return Duplicates(duplicates=row.duplicates, conflicts=row.conflicts, span=span)
