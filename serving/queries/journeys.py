"""Journeys: which step follows which in the sessions of a span.

A session's path becomes a journey: its steps by label, with repetitions of one label collapsed to a single visit, so
that no label follows itself. Journeys end with the path, at 50 events; a session that has more is *cut*, and where it
left is not known.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Subquery,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    union_all,
)

from contracts.projections import sessions
from serving.queries import Statement
from serving.queries.compared import BEFORE
from serving.queries.measures import total
from serving.queries.paths import action, page, steps_of
from serving.queries.visits import Visits
from serving.windows import Span

_SEGMENTS: Final = r"^(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*)?/*([^/?#]*)(?:/+([^/?#])?)?.*$"
"""Of a URL, absolute or not: the first segment of its path, and a character of the second where there is one."""
_LONE_ID: Final = r"^([0-9]+|[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27}|[0-9A-Fa-f]{16,})$"
"""A segment that is an id: a number, a UUID, 16 or more hexadecimal digits."""
_LONGEST_SEGMENT: Final = 64
_COLUMNS: Final[dict[str, Any]] = {
    "kind": Text,
    "place": Integer,
    "source": Text,
    "target": Text,
    **dict.fromkeys(("count", "sessions", "entries", "exits", "repeats", "departures", "scope"), BigInteger),
}


@dataclass(frozen=True)
class Asked:
    """Which journeys."""

    visits: Visits
    by_page: bool
    """Steps are pages, else actions."""
    depth: int | None
    """Tell the first so many places of a journey apart; None for all places together."""
    first: int
    """Most nodes, and most moves."""
    earlier: Span | None = None
    """A span to compare with."""


def journeys(asked: Asked, max_sessions: int) -> Statement:
    """Rows of three `kind`s, those with the largest `count` first; `place` is 0 where places are not told apart.

    `total`, one row: `count` journeys, of which `repeats` are cut; `scope` is how many sessions there are, counted up
    to one over the maximum. Over it there is no other row.
    `node`: `count` visits of `source` by `sessions`, with its `entries`, `exits`, and `repeats`.
    `move`: `count` times, in `sessions`, `target` came next after `source`, of `departures` visits of the latter.

    With an `earlier` span each row has the same columns of then under `before_…`, null where there was no such row.
    """
    now = _side(asked, asked.visits, asked.first, max_sessions, "scope")
    order = (now.c["count"].desc(), now.c.place, now.c.source, now.c.target)
    if asked.earlier is None:
        return select(*now.c).order_by(*order)
    then = _side(asked, replace(asked.visits, span=asked.earlier), None, max_sessions, f"{BEFORE}scope")
    same = and_(*(then.c[key].is_not_distinct_from(now.c[key]) for key in ("kind", "place", "source", "target")))
    before = [column.label(f"{BEFORE}{column.name}") for column in then.c]
    return select(*now.c, *before).join_from(now, then, same, isouter=True).order_by(*order)


def _side(asked: Asked, of: Visits, first: int | None, max_sessions: int, name: str) -> Subquery:
    """The rows of some sessions; `first` None for all of them."""
    counting, allowed = of.scope(max_sessions, name)
    chosen = (
        select(
            func.row_number().over().label("session"),
            sessions.c.path,
            (sessions.c.events > func.cardinality(sessions.c.path)).label("cut"),
        )
        .where(*of.conditions, allowed)
        .cte()
    )
    visits = _visits(_pages(chosen) if asked.by_page else _actions(chosen), asked.depth)
    nodes, moves = _nodes(visits), _moves(visits, asked.depth)
    begun = func.count().filter(visits.c.at == 1)
    whole = _rows(
        "total",
        count=begun,
        repeats=func.count().filter((visits.c.at == 1) & visits.c.cut),
        scope=select(counting.c.sessions).scalar_subquery(),
    ).select_from(visits)
    busiest = (
        _rows(
            "node",
            place=nodes.c.place,
            source=nodes.c.label,
            count=nodes.c.visits,
            **{name: nodes.c[name] for name in ("sessions", "entries", "exits", "repeats")},
        )
        .order_by(nodes.c.visits.desc(), nodes.c.place, nodes.c.label)
        .limit(first)
    )
    likeliest = (
        _rows(
            "move",
            place=moves.c.place,
            source=moves.c.label,
            target=moves.c.next,
            count=moves.c.times,
            sessions=moves.c.sessions,
            departures=nodes.c.visits,
        )
        .join_from(moves, nodes, (nodes.c.label == moves.c.label) & (nodes.c.place == moves.c.place))
        .order_by(moves.c.times.desc(), moves.c.place, moves.c.label, moves.c.next)
        .limit(first)
    )
    return union_all(whole, busiest.subquery().select(), likeliest.subquery().select()).subquery()


def _rows(kind: str, **columns: ColumnElement[Any]) -> Statement:
    known = {"kind": literal(kind, Text), **columns}
    return select(*(known.get(name, null().cast(type_)).label(name) for name, type_ in _COLUMNS.items()))


def _actions(chosen: CTE) -> CTE:
    steps = steps_of(chosen.c.path)
    labelled = select(chosen.c.session, chosen.c.cut, steps.c.place, action(steps.c.step).label("label"))
    return labelled.join_from(chosen, steps, true()).cte()


def _pages(chosen: CTE) -> CTE:
    """The steps that have a page. Each different page is labelled once: that costs more than all the rest."""
    steps = steps_of(chosen.c.path)
    told = (
        select(chosen.c.session, chosen.c.cut, steps.c.place, page(steps.c.step).label("page"))
        .join_from(chosen, steps, true())
        .cte()
    )
    different = select(told.c.page).where(told.c.page != "").distinct().subquery("different")
    segments = [func.regexp_replace(different.c.page, _SEGMENTS, part, type_=Text) for part in (r"\1", r"\2")]
    parts = select(different.c.page, segments[0].label("one"), segments[1].label("more")).subquery("parts")
    labels = select(parts.c.page, _page_label(parts.c.one, parts.c.more).label("label")).cte()
    # Inlined, it would be evaluated for each step and not for each page.
    labels = labels.prefix_with("MATERIALIZED", dialect="postgresql")
    return (
        select(told.c.session, told.c.cut, told.c.place, labels.c.label)
        .join_from(told, labels, labels.c.page == told.c.page)
        .cte()
    )


def _page_label(one: ColumnElement[str], more: ColumnElement[str]) -> ColumnElement[str]:
    named = func.concat("/", func.left(one, _LONGEST_SEGMENT), type_=Text)
    return case(
        (one == "", literal("/", Text)),
        (one.regexp_match(_LONE_ID), literal("/*", Text)),
        (more == "", named),
        else_=func.concat(named, "/*", type_=Text),
    )


def _visits(labelled: CTE, depth: int | None) -> CTE:
    """A row per visit: its place in the journey, how often it was repeated, and the label of the one after it."""
    session, place, label = labelled.c.session, labelled.c.place, labelled.c.label
    turns = select(
        *labelled.c,
        func.lag(label).over(partition_by=session, order_by=place).label("before"),
        func.lead(label).over(partition_by=session, order_by=place).label("after"),
    ).subquery("turns")
    begins = func.count().filter(turns.c.before.is_distinct_from(turns.c.label))
    at = begins.over(partition_by=turns.c.session, order_by=turns.c.place)
    numbered = select(*turns.c, at.label("at")).subquery("numbered")
    visits = select(
        numbered.c.session,
        numbered.c.cut,
        numbered.c.at,
        (numbered.c.at if depth is not None else literal_column("0", Integer)).label("place"),
        numbered.c.label,
        (func.count() - 1).label("repeats"),
        func.max(numbered.c.after).filter(numbered.c.after != numbered.c.label).label("next"),
    ).group_by(numbered.c.session, numbered.c.cut, numbered.c.at, numbered.c.label)
    return (visits.where(numbered.c.at <= depth) if depth is not None else visits).cte()


def _nodes(visits: CTE) -> CTE:
    per_session = (
        select(
            visits.c.place,
            visits.c.label,
            func.count().label("visits"),
            func.count().filter(visits.c.at == 1).label("entries"),
            func.count().filter(visits.c.next.is_(None) & ~visits.c.cut).label("exits"),
            total(visits.c.repeats).label("repeats"),
        )
        .group_by(visits.c.session, visits.c.place, visits.c.label)
        .subquery("node")
    )
    return (
        select(
            per_session.c.place,
            per_session.c.label,
            func.count().label("sessions"),
            *(total(per_session.c[name]).label(name) for name in ("visits", "entries", "exits", "repeats")),
        )
        .group_by(per_session.c.place, per_session.c.label)
        .cte()
    )


def _moves(visits: CTE, depth: int | None) -> CTE:
    keys = (visits.c.place, visits.c.label, visits.c.next)
    per_session = select(*keys, func.count().label("times")).where(visits.c.next.is_not(None))
    if depth is not None:
        per_session = per_session.where(visits.c.at < depth)
    move = per_session.group_by(visits.c.session, *keys).subquery("move")
    keys = (move.c.place, move.c.label, move.c.next)
    return select(*keys, func.count().label("sessions"), total(move.c.times).label("times")).group_by(*keys).cte()
