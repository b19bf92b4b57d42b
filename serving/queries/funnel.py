"""Funnels over the sessions of a span: how many reach each step, and after how long.

A step is reached by the first event with one of its actions that is not before the event of the step ahead of it; one
event is never two steps. The table has the columns of the usual funnel; any other is found in the paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, ColumnElement, FromClause, Subquery, Text, any_, func, literal, null, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.projections import sessions
from serving.queries import Statement
from serving.queries.measures import moment
from serving.queries.paths import action, instant, millis, steps_of
from serving.queries.visits import SOURCE, Visits
from serving.windows import Span

Breakdown = Literal["none", "category", "device", "source", "medium"]
Steps = Sequence[frozenset[str]]
"""Of each step, the actions of which any will do."""

SEGMENTS: Final[dict[Breakdown, ColumnElement[Any]]] = {
    "none": null().cast(Text),
    "category": func.nullif(sessions.c.category, ""),
    "device": func.nullif(sessions.c.device, ""),
    "medium": func.nullif(sessions.c.medium, ""),
    "source": SOURCE,
}
"""What sessions are told apart by."""
_USUAL: Final = (sessions.c.viewed_at, sessions.c.added_at, sessions.c.checkout_at, sessions.c.purchased_at)


@dataclass(frozen=True)
class Asked:
    """Which sessions, and how they are told apart."""

    visits: Visits
    breakdown: Breakdown
    ended_by: datetime | None
    """Newest end of a completed session, see `serving.queries.sessions.completed_by`."""
    first: int
    """Most segments."""
    steps: Steps | None = None
    """None for the usual ones: view, add to cart, start of a checkout, purchase."""
    earlier: Span | None = None
    """A span to compare with."""

    @property
    def reads_paths(self) -> bool:
        """Whether its sessions can be too many."""
        return self.steps is not None or self.visits.product_id is not None


def funnel(asked: Asked, max_sessions: int) -> Statement:
    """A row per segment, most sessions first: `segment`, `sessions`, `active` (sessions of all segments that can still
    change), and of each step n `reached_n`, `median_n` and `mean_n`; the same of the earlier span under `before_…`.

    `scope` and `before_scope` are how many sessions there are, counted up to one over the maximum where paths are read,
    else null; over it, nothing else of the row means anything. Without any segment, `sessions` of the only row is null.
    """
    now, scope = _side(asked, asked.visits, asked.first, max_sessions, "scope")
    columns = [*now.c, scope.label("scope")]
    one = select(true().label("one")).subquery("one")
    source = one.outerjoin(now, true())
    if asked.earlier is not None:
        before, before_scope = _side(
            asked, replace(asked.visits, span=asked.earlier), None, max_sessions, "before_scope"
        )
        columns += [column.label(f"before_{column.name}") for column in before.c]
        columns.append(before_scope.label("before_scope"))
        source = source.outerjoin(before, before.c.segment.is_not_distinct_from(now.c.segment))
    return select(*columns).select_from(source).order_by(now.c.sessions.desc(), now.c.segment)


def _side(
    asked: Asked, visits: Visits, first: int | None, max_sessions: int, name: str
) -> tuple[Subquery, ColumnElement[Any]]:
    """The sums of some sessions by segment, and how many these are."""
    conditions = visits.conditions
    scope: ColumnElement[Any] = null().cast(BigInteger)
    if asked.reads_paths:
        counting, allowed = visits.scope(max_sessions, name)
        conditions, scope = [*conditions, allowed], select(counting.c.sessions).scalar_subquery()
    times, source = (_USUAL, sessions) if asked.steps is None else _in_paths(asked.steps)
    named = [time.label(f"at_{number}") for number, time in enumerate(times)]
    segment = SEGMENTS[asked.breakdown].label("segment")
    reached = select(segment, sessions.c.ended_at, *named).select_from(source).where(*conditions)
    return _summed(asked, reached, len(times), first).subquery(f"of_{name}"), scope


def _in_paths(steps: Steps) -> tuple[Sequence[ColumnElement[Any]], FromClause]:
    """When each step was reached, and the sessions with all that was found in their paths."""
    found: list[FromClause] = []
    source: FromClause = sessions
    for number, actions in enumerate(steps):
        found.append(_first_step(number, actions, found))
        source = source.outerjoin(found[-1], true())
    return [instant(step.c.millis) for step in found], source


def _first_step(number: int, actions: frozenset[str], ahead: Sequence[FromClause]) -> FromClause:
    """The event that reaches a step: at or after that of the step ahead, and none that reached a step before."""
    steps = steps_of(sessions.c.path, f"steps_{number}")
    conditions: list[ColumnElement[bool]] = [action(steps.c.step) == any_(literal(sorted(actions), ARRAY(Text)))]
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


def _summed(asked: Asked, sessions_reached: Statement, steps: int, first: int | None) -> Statement:
    reached = sessions_reached.subquery("reached")
    times = [reached.c[f"at_{number}"] for number in range(steps)]
    segmented = asked.breakdown != "none"
    active = func.count().filter(reached.c.ended_at > moment(asked.ended_by) if asked.ended_by else true())
    measures = [
        reached.c.segment if segmented else null().cast(Text).label("segment"),
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
    return summed.group_by(reached.c.segment).order_by(func.count().desc(), reached.c.segment).limit(first)
