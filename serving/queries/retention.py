"""Retention: of the users first seen in a week, how many were seen in each week after it."""

from sqlalchemy import Integer, func, literal, select, true

from contracts.projections import users
from serving.queries import Statement
from serving.queries.users import is_bot


def retention(first_week: int, last_week: int, bot: bool | None) -> Statement:
    """How many of the users of each cohort, from the first week to the last, were seen in each week up to the last.

    Weeks are numbered as in the table: ISO weeks (from Monday, UTC) counted from 1969-12-29.
    """
    week = func.unnest(users.c.weeks).table_valued("week", name="seen").render_derived()
    seen = (
        select(users.c.weeks[1].label("cohort"), week.c.week.cast(Integer).label("week"))
        .join_from(users, week, true())
        .where(is_bot(bot) if bot is not None else true())
        .subquery("seen_weeks")
    )
    return (
        select(seen.c.cohort, seen.c.week, func.count().label("users"))
        .where(
            seen.c.cohort.between(literal(first_week, Integer), literal(last_week, Integer)),
            seen.c.week <= literal(last_week, Integer),
        )
        .group_by(seen.c.cohort, seen.c.week)
    )
