"""The best products of a range by one measure."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from contracts.projections import product_minutes
from contracts.rollup_reads import readable
from serving.queries import Statement
from serving.queries.measures import counted, sums


def top_products(edges: Sequence[datetime], measure: str, first: int, bot: bool | None) -> Statement:
    """Sums per product between the two edges, which are whole minutes; the largest first, ties by product id."""
    rows = readable(product_minutes, edges).subquery("rows")
    value = func.sum(rows.c[measure])
    return (
        select(
            rows.c.product_id,
            func.array_remove(func.array_agg(func.distinct(rows.c.category)), "").label("categories"),
            *sums(rows),
        )
        .where(counted(rows, bot))
        .group_by(rows.c.product_id)
        .having(value > 0)
        .order_by(value.desc(), rows.c.product_id)
        .limit(first)
    )
