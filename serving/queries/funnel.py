"""Funnels over the sessions of a span: how many reach each step, and after how long.

A step is reached by the first event with one of its actions that is not before the event of the step ahead of it. The
table has the columns of the usual funnel; any other is found in the paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, FromClause, func, null, select, true

from contracts.projections import sessions
from serving.queries import Statement
from serving.queries.measures import moment
from serving.queries.paths import action, instant, millis, scope, started_in, steps_of
from serving.windows import Span

Breakdown = Literal["none", "category", "device", "source", "medium"]

_SEGMENTS: Final[dict[Breakdown, ColumnElement[Any]]] = {
    "none": null(),
    "category": func.nullif(sessions.c.category, ""),
    "device": func.nullif(sessions.c.device, ""),
    "medium": func.nullif(sessions.c.medium, ""),
    "source": func.coalesce(func.nullif(sessions.c.campaign_source, ""), func.nullif(sessions.c.referrer_source, "")),
}
_COLUMNS: Final = (sessions.c.viewed_at, sessions.c.added_at, sessions.c.checkout_at, sessions.c.purchased_at)


@dataclass(frozen=True)
class Asked:
    """Which sessions, and how they are told apart."""

    span: Span
    bot: bool | None
    breakdown: Breakdown
    ended_by: datetime | None
    """Newest end of a completed session, see `serving.queries.sessions.completed_by`."""
    first: int
    """Most segments."""

    def reached(self, times: Sequence[ColumnElement[Any]], source: FromClause = sessions) -> Statement:
        """A row per session: its segment, and `at_n`, the time at which it reached step n or null."""
        named = [time.label(f"at_{number}") for number, time in enumerate(times)]
        segment = _SEGMENTS[self.breakdown].label("segment")
        return select(segment, sessions.c.ended_at, *named).select_from(source).where(*started_in(self.span, self.bot))


def usual_funnel(asked: Asked) -> Statement:
    """View, add to cart, start of a checkout, purchase. Rows as of `custom_funnel`, with `scope` null."""
    return _summed(asked, asked.reached(_COLUMNS), len(_COLUMNS)).add_columns(null().label("scope"))


def custom_funnel(asked: Asked, steps: Sequence[frozenset[str]], max_sessions: int) -> Statement:
    """The steps given as sets of actions, found in the paths; one event is never two steps.

    A row per segment, most sessions first: `segment`, `sessions`, `active` (sessions of all segments that can still
    change), and of each step n `reached_n`, `median_n` and `mean_n`. `scope` is how many sessions there are, counted up
    to one over the maximum; over it, the only row has nothing else.
    """
    counting, allowed = scope(asked.span, asked.bot, max_sessions)
    found: list[FromClause] = []
    source: FromClause = sessions
    for number, actions in enumerate(steps):
        found.append(_first_step(number, actions, found))
        source = source.outerjoin(found[-1], true())
    reached = asked.reached([instant(step.c.millis) for step in found], source).where(allowed)
    summed = _summed(asked, reached, len(steps)).subquery("summed")
    return (
        select(*summed.c, counting.c.sessions.label("scope"))
        .select_from(counting.outerjoin(summed, true()))
        .order_by(summed.c.sessions.desc(), summed.c.segment)
    )


def _first_step(number: int, actions: frozenset[str], ahead: Sequence[FromClause]) -> FromClause:
    """The event that reaches a step: at or after that of the step ahead, and none that reached a step before."""
    steps = steps_of(sessions.c.path, f"steps_{number}")
    conditions: list[ColumnElement[bool]] = [action(steps.c.step).in_(sorted(actions))]
    if ahead:
        conditions.append(millis(steps.c.step) >= ahead[-1].c.millis)
        conditions += [steps.c.place != earlier.c.place for earlier in ahead]
    return (
        select(millis(steps.c.step).label("millis"), steps.c.place)
        .where(*conditions)
        .order_by(steps.c.place)
        .limit(1)
        .lateral(f"step_{number}")
    )


def _summed(asked: Asked, sessions_reached: Statement, steps: int) -> Statement:
    reached = sessions_reached.subquery("reached")
    times = [reached.c[f"at_{number}"] for number in range(steps)]
    segmented = asked.breakdown != "none"
    active = func.count().filter(reached.c.ended_at > moment(asked.ended_by) if asked.ended_by else true())
    measures = [
        reached.c.segment if segmented else null().label("segment"),
        func.count().label("sessions"),
        (func.sum(active).over() if segmented else active).label("active"),
    ]
    for number, time in enumerate(times):
        since_first = time - times[0]
        measures += [
            func.count(time).label(f"reached_{number}"),
            func.percentile_cont(0.5).within_group(since_first).label(f"median_{number}"),
            func.avg(since_first).label(f"mean_{number}"),
        ]
    summed = select(*measures).select_from(reached)
    if not segmented:
        return summed
    return summed.group_by(reached.c.segment).order_by(func.count().desc(), reached.c.segment).limit(asked.first)
