"""Root about retention: whether users come back in the weeks after their first."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import strawberry

from serving.errors import InvalidArgument
from serving.queries import folded
from serving.queries.retention import retention as retention_sql
from serving.schema.common import FINAL, BotFilter, Bots, Bounds, is_final
from serving.schema.context import Info
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.scalars import Long
from serving.snapshot import EpochRow
from serving.windows import Span

MAX_WEEKS: Final = 104
_FIRST_MONDAY: Final = datetime(1969, 12, 29, tzinfo=UTC)
_WEEK: Final = timedelta(weeks=1)


@strawberry.type(description="A cohort in one of its weeks.")
class CohortWeek(Bounds):
    week: int = strawberry.field(description="Weeks after the cohort's first: 0 is that one itself.")
    is_final: bool = strawberry.field(description=FINAL)
    users: Long = strawberry.field(description="Users of the cohort with an event in this week.")
    share: float | None = strawberry.field(description="`users` by all of the cohort: 0 to 1; null where it is empty.")


@strawberry.type(
    description="The users who were first seen in one ISO week. Weeks begin on Monday at 00:00 UTC whatever the shop's "
    "zone: that is how the weeks of a user are kept."
)
class Cohort(Bounds):
    users: Long = strawberry.field(description="How many they are.")
    weeks: list[CohortWeek] = strawberry.field(description="From their first week to the newest.")


async def retention(
    info: Info,
    weeks: Annotated[
        int, strawberry.argument(description="How many cohorts, 1 to 104: the newest weeks, this one included.")
    ] = 8,
    until: Annotated[
        datetime | None,
        strawberry.argument(description="The newest week is the one of this instant; without it, of the last commit."),
    ] = None,
    bots: Bots = BotFilter.EXCLUDE,
    as_of: AsOfEpoch = None,
) -> list[Cohort]:
    """Oldest cohort first, empty ones too; nothing before the first commit."""
    if not 1 <= weeks <= MAX_WEEKS:
        raise InvalidArgument("weeks", f"must be from 1 to {MAX_WEEKS}")
    told = await told_as_of(info, as_of)
    if told.as_of is None:
        return []
    last = ((until or told.as_of.committed_at) - _FIRST_MONDAY) // _WEEK
    cohorts = range(last - weeks + 1, last + 1)
    try:
        first_seen = Span(_monday(cohorts[0]), _monday(last + 1))
    except OverflowError as error:
        raise InvalidArgument("until", "too close to the end of the calendar") from error
    folds = folded.users(first_seen=first_seen)
    rows = await rows_then(info, told, retention_sql(cohorts[0], last, bots.bot), folds)
    seen: dict[tuple[int, int], int] = {(row.cohort, row.week): row.users for row in rows}
    return [
        Cohort(
            window_start=_monday(cohort),
            window_end=_monday(cohort + 1),
            users=Long(seen.get((cohort, cohort), 0)),
            weeks=[_week(cohort, week, seen, told.as_of) for week in range(cohort, last + 1)],
        )
        for cohort in cohorts
    ]


def _week(cohort: int, week: int, seen: dict[tuple[int, int], int], as_of: EpochRow) -> CohortWeek:
    users, everyone = seen.get((cohort, week), 0), seen.get((cohort, cohort), 0)
    return CohortWeek(
        week=week - cohort,
        window_start=_monday(week),
        window_end=_monday(week + 1),
        is_final=is_final(_monday(week + 1), as_of),
        users=Long(users),
        share=users / everyone if everyone else None,
    )


def _monday(week: int) -> datetime:
    return _FIRST_MONDAY + week * _WEEK
