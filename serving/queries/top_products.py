"""The best products of a range by one measure, beside their place in an earlier one."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, func, select

from contracts.projections import product_minutes
from contracts.rollup_reads import readable
from serving.queries import Statement
from serving.queries.measures import counted, moment, sums


def top_products(
    edges: Sequence[datetime],
    earlier: Sequence[datetime],
    *,
    measure: str,
    first: int,
    bot: bool | None,
    categories: Sequence[str] | None,
) -> Statement:
    """Sums per product between the two edges, which are whole minutes; the largest first, ties by product id.

    With two `earlier` edges, the same of those is under `before_…`, null where the product was not in that order.
    """
    rows = readable(product_minutes, sorted({*edges, *earlier})).subquery("rows")
    value = func.sum(rows.c[measure])

    def ranked(start: datetime, end: datetime) -> Select[*tuple[object, ...]]:
        between = (rows.c.starts_at >= moment(start), rows.c.starts_at < moment(end))
        named = [rows.c.category.in_(categories)] if categories is not None else []
        return (
            select(
                rows.c.product_id,
                func.row_number().over(order_by=(value.desc(), rows.c.product_id)).label("rank"),
                func.array_remove(func.array_agg(func.distinct(rows.c.category)), "").label("categories"),
                *sums(rows),
            )
            .where(counted(rows, bot), *between, *named)
            .group_by(rows.c.product_id)
            .having(value > 0)
        )

    best = ranked(edges[0], edges[1]).order_by("rank").limit(first)
    if not earlier:
        return best
    now, before = best.subquery("now"), ranked(earlier[0], earlier[1]).subquery("before")
    told = [column.label(f"before_{column.name}") for column in before.c]
    return (
        select(*now.c, *told)
        .join_from(now, before, before.c.product_id == now.c.product_id, isouter=True)
        .order_by(now.c.rank)
    )
