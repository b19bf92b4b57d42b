"""How late events come, and which came twice."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, func, literal, or_, select, true, union_all

from contracts.projections import delays
from contracts.rollup_reads import gaps, instants, whole_cells
from contracts.rollups import delay_hours
from contracts.tables import duplicates, epochs
from serving.queries import Statement
from serving.queries.compared import BEFORE
from serving.queries.measures import sums, within_span
from serving.queries.paging import Page, paged
from serving.windows import Span


def lateness(periods: Mapping[int, Sequence[datetime]]) -> Statement:
    """Events that arrived between the edges by how old they were: a row per bucket, the youngest first, -1 last.

    Each row has the number of its `period`.
    """
    rows = union_all(*(_arrived(edges, number) for number, edges in periods.items())).subquery("rows")
    return (
        select(rows.c.period, rows.c.up_to_seconds, *sums(rows, ("events", "late")))
        .group_by(rows.c.period, rows.c.up_to_seconds)
        .order_by(rows.c.period, rows.c.up_to_seconds < 0, rows.c.up_to_seconds)
    )


def _arrived(edges: Sequence[datetime], period: int) -> Select[Any]:
    between = instants(edges)
    hours = whole_cells("delay_hour", between).cte(f"hours_{period}")
    left = gaps([hours], between).cte(f"gaps_{period}")
    names = ("up_to_seconds", "events", "late")
    rows = union_all(
        select(*(delay_hours.c[name] for name in names)).join_from(
            hours, delay_hours, hours.c.starts_at == delay_hours.c.hour
        ),
        select(*(delays.c[name] for name in names)).join_from(
            left, delays, (delays.c.minute >= left.c.starts_at) & (delays.c.minute < left.c.ends_at)
        ),
    ).subquery(f"rows_{period}")
    return select(literal(period, Integer).label("period"), *rows.c)


def duplicate_counts(span: Span, earlier: Span | None, through: int | None) -> Statement:
    """One row: duplicates and conflicts of the epochs committed in the span, and `before_…` in the earlier one.

    Of epochs up to `through`; None for the newest.
    """
    periods = {"": span} | ({BEFORE: earlier} if earlier is not None else {})
    within = {name: within_span(epochs.c.committed_at, each) for name, each in periods.items()}
    counts = [
        func.coalesce(func.sum(epochs.c[name]).filter(during), 0).cast(BigInteger).label(f"{period}{name}")
        for period, during in within.items()
        for name in ("duplicates", "conflicts")
    ]
    return select(*counts).where(or_(*within.values()), _up_to(through))


def duplicate_samples(page: Page, span: Span, through: int | None, *, conflict: bool | None) -> Statement:
    """Duplicates of those epochs, the newest first; conflicts, plain copies, or both (None)."""
    newest = (
        select(
            duplicates.c.topic,
            duplicates.c.partition,
            duplicates.c.offset,
            duplicates.c.epoch,
            duplicates.c.event_id,
            duplicates.c.conflict,
            duplicates.c.first_epoch,
            epochs.c.committed_at,
        )
        .join_from(duplicates, epochs, epochs.c.epoch == duplicates.c.epoch)
        .where(within_span(epochs.c.committed_at, span), _up_to(through))
    )
    if conflict is not None:
        newest = newest.where(duplicates.c.conflict.is_(conflict))
    return paged(newest, (duplicates.c.epoch, duplicates.c.topic, duplicates.c.partition, duplicates.c.offset), page)


def _up_to(epoch: int | None) -> ColumnElement[bool]:
    return epochs.c.epoch <= epoch if epoch is not None else true()
