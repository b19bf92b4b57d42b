"""Bounces and lengths of sessions: from whole hours summed up, and from the sessions where there are none."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    SelectBase,
    Subquery,
    Text,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)

from contracts.projections import sessions
from contracts.rollup_reads import gaps, instants, whole_cells
from contracts.rollups import session_hours
from serving.queries import Statement
from serving.queries.compared import BEFORE
from serving.queries.funnel import SEGMENTS, Breakdown
from serving.queries.measures import counted, moment, total
from serving.queries.visits import Visits
from serving.windows import Span

_SUMS: Final = ("sessions", "bounces", "events", "duration_ms")
_BY_HOUR: Final[Mapping[Breakdown, ColumnElement[Any]]] = {
    "none": null().cast(Text),
    "device": func.nullif(session_hours.c.device, ""),
    "medium": func.nullif(session_hours.c.medium, ""),
}
"""What hours are told apart by."""


@dataclass(frozen=True)
class Asked:
    """Which sessions, and how they are told apart."""

    span: Span
    visits: Visits
    """Any time of theirs, and no product."""
    breakdown: Breakdown
    ended_by: datetime | None
    """Newest end of a completed session, see `serving.queries.sessions.completed_by`."""
    first: int
    """Most segments."""
    earlier: Span | None = None
    """A span to compare with."""

    @property
    def by_hour(self) -> bool:
        """Whether hours know enough of their sessions."""
        return self.breakdown in _BY_HOUR and self.visits.source is None and self.visits.category is None


def session_metrics(asked: Asked) -> Statement:
    """A row per segment, most sessions first: `segment`, `sessions`, `bounces`, `events`, `duration_ms` and `active`
    (sessions of all segments that can still change); the sums of the earlier span under `before_…`.
    """
    now = _side(asked, asked.span, "now")
    if asked.earlier is None:
        return select(*now.c).order_by(now.c.sessions.desc(), now.c.segment).limit(asked.first)
    then = _side(asked, asked.earlier, "then")
    told = [column.label(BEFORE + column.name) for column in then.c]
    return (
        select(*now.c, *told)
        .join_from(now, then, then.c.segment.is_not_distinct_from(now.c.segment), isouter=True)
        .order_by(now.c.sessions.desc(), now.c.segment)
        .limit(asked.first)
    )


def _side(asked: Asked, span: Span, name: str) -> Subquery:
    parts = _parts(asked, span, name).subquery(f"{name}_parts")
    sums = [total(parts.c[each]).label(each) for each in _SUMS]
    active = total(parts.c.active)
    if asked.breakdown == "none":
        return select(null().cast(Text).label("segment"), *sums, active.label("active")).subquery(name)
    everywhere = func.sum(active).over().label("active")
    return select(parts.c.segment, *sums, everywhere).group_by(parts.c.segment).subquery(name)


def _parts(asked: Asked, span: Span, name: str) -> SelectBase:
    """Sums of some of the sessions each; together of all, once."""
    if not asked.by_hour:
        visits = replace(asked.visits, span=span)
        return _summed(asked, sessions, visits.by_columns)
    edges = instants((span.start, span.end))
    cells = whole_cells("session_hour", edges).cte(f"{name}_cells")
    left = gaps([cells], edges).cte(f"{name}_gaps")
    begun = (sessions.c.started_at >= left.c.starts_at) & (sessions.c.started_at < left.c.ends_at)
    hours, visits = session_hours, asked.visits
    narrowed = [(hours.c.device, visits.device), (hours.c.medium, visits.medium)]
    in_hours = (
        select(
            _BY_HOUR[asked.breakdown].label("segment"),
            *(hours.c[each] for each in _SUMS),
            literal(0, BigInteger).label("active"),
        )
        .join_from(cells, hours, hours.c.hour == cells.c.starts_at)
        .where(counted(hours, visits.bot), *(column == value for column, value in narrowed if value is not None))
    )
    return union_all(in_hours, _summed(asked, left.join(sessions, begun), visits.by_columns))


def _summed(asked: Asked, source: FromClause, conditions: list[ColumnElement[bool]]) -> Statement:
    """Of sessions; of none of them no row."""
    length = func.extract("epoch", sessions.c.ended_at - sessions.c.started_at) * 1000
    active = sessions.c.ended_at > moment(asked.ended_by) if asked.ended_by is not None else true()
    one = (
        select(
            SEGMENTS[asked.breakdown].label("segment"),
            (sessions.c.events == 1).label("bounced"),
            sessions.c.events,
            length.label("length"),
            active.label("active"),
        )
        .select_from(source)
        .where(*conditions)
        .subquery()
    )
    return select(
        one.c.segment,
        func.count(type_=BigInteger).label("sessions"),
        func.count().filter(one.c.bounced).label("bounces"),
        total(one.c.events).label("events"),
        func.sum(one.c.length).cast(BigInteger).label("duration_ms"),
        func.count().filter(one.c.active).label("active"),
    ).group_by(one.c.segment)
