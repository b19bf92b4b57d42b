"""The best products of a range by one measure."""

from sqlalchemy import func, select

from contracts.projections import product_minutes
from serving.queries import Statement
from serving.queries.measures import counted, moment, sums
from serving.windows import Span


def top_products(span: Span, measure: str, first: int, bot: bool | None) -> Statement:
    """Sums per product over the minutes that begin in the span, the largest first; ties by product id."""
    table = product_minutes
    value = func.sum(table.c[measure])
    return (
        select(
            table.c.product_id,
            func.array_remove(func.array_agg(func.distinct(table.c.category)), "").label("categories"),
            *sums(table),
        )
        .where(table.c.minute >= moment(span.start), table.c.minute < moment(span.end), counted(table, bot))
        .group_by(table.c.product_id)
        .having(value > 0)
        .order_by(value.desc(), table.c.product_id)
        .limit(first)
    )
