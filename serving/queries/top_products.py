"""The best products of a range by one measure, beside their place in an earlier one."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, select

from contracts.projections import product_minutes
from contracts.rollup_reads import GIVEN, days_fit, given, readable
from serving.queries import KEPT_STATEMENTS, Asked, Statement
from serving.queries.compared import BEFORE
from serving.queries.measures import COUNTS, MONEY, counted, given_moment, is_one_of, lists_given, sums


def top_products(
    edges: Sequence[datetime],
    earlier: Sequence[datetime],
    *,
    measure: str,
    wanted: frozenset[str],
    first: int,
    bot: bool | None,
    products: Sequence[str] | None,
    categories: Sequence[str] | None,
) -> Asked:
    """Sums per product between the two edges, which are whole minutes; the largest first, ties by product id.

    Told are those that are `wanted`, which may have `categories` among them. Of `products` alone their places are
    those among them.

    With two `earlier` edges, the same of those is under `before_…`, null where the product was not in that order.
    """
    every = sorted({*edges, *earlier})
    values: dict[str, Any] = given(every)
    values |= {"starts": edges[0], "ends": edges[1], "first": first}
    if earlier:
        values |= {"earlier_starts": earlier[0], "earlier_ends": earlier[1]}
    named = lists_given(product_id=products, category=categories)
    statement = _statement(
        measure, wanted, bot, beside_earlier=bool(earlier), of=frozenset(named), days=days_fit(every)
    )
    return Asked(statement, values | named)


@lru_cache(KEPT_STATEMENTS)
def _statement(
    measure: str, wanted: frozenset[str], bot: bool | None, *, beside_earlier: bool, of: frozenset[str], days: bool
) -> Statement:
    rows = readable(product_minutes, GIVEN, days=days).subquery("rows")
    value = func.sum(rows.c[measure])
    named = [is_one_of(rows.c[key], key) for key in sorted(of)]
    found = sums(rows, [name for name in (*COUNTS, *MONEY) if name in wanted])
    if "categories" in wanted:  # to tell them apart, all rows are sorted
        found.append(func.array_remove(func.array_agg(func.distinct(rows.c.category)), "").label("categories"))

    def ranked(starts: str, ends: str) -> Select[*tuple[object, ...]]:
        between = (rows.c.starts_at >= given_moment(starts), rows.c.starts_at < given_moment(ends))
        return (
            select(
                rows.c.product_id,
                func.row_number().over(order_by=(value.desc(), rows.c.product_id)).label("rank"),
                *found,
            )
            .where(counted(rows, bot), *between, *named)
            .group_by(rows.c.product_id)
            .having(value > 0)
        )

    best = ranked("starts", "ends").order_by("rank").limit(bindparam("first", type_=Integer))
    if not beside_earlier:
        return best
    now, before = best.subquery("now"), ranked("earlier_starts", "earlier_ends").subquery("before")
    told = [column.label(f"{BEFORE}{column.name}") for column in before.c]
    return (
        select(*now.c, *told)
        .join_from(now, before, before.c.product_id == now.c.product_id, isouter=True)
        .order_by(now.c.rank)
    )
