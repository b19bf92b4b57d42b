"""Products viewed in the sessions in which one product was: from whole hours summed up, and from paths where there are
none yet."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CTE, BigInteger, ColumnElement, Text, any_, func, literal, null, select, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.projections import sessions
from contracts.rollup_reads import gaps, instants, whole_cells
from contracts.rollups import pair_hours
from serving.queries import Statement
from serving.queries.measures import total
from serving.queries.paths import action, product_id, steps_of
from serving.windows import Span

_VIEWS: Final = ["page_view", "view"]
_NONE: Final[ColumnElement[Any]] = null().cast(BigInteger)


@dataclass(frozen=True)
class Asked:
    """Which product, in the sessions of which time."""

    product_id: str
    span: Span
    first: int
    """Most other products."""
    earlier: Span | None = None
    """Another time to count the same products in."""


def also_viewed(asked: Asked, max_sessions: int) -> Statement:
    """A row of `scope`, `product_id` null; one of the product itself; then of the others, the most often seen first.

    `sessions` are those of the span, `before` those of the earlier one, null where there were none. `scope` is how many
    are in no hour that is summed up, counted up to one over the maximum. Over it the rest is of summed up hours alone.
    """
    scope, now = _counted(asked, asked.span, max_sessions, "now")
    told, scope_before, itself_before = select(now.c.product_id, now.c.sessions, _NONE.label("before")), _NONE, _NONE
    if asked.earlier is not None:
        scope_then, then = _counted(asked, asked.earlier, max_sessions, "then")
        same = then.c.product_id == now.c.product_id
        told = select(now.c.product_id, now.c.sessions, then.c.sessions.label("before")).join_from(
            now, then, same, isouter=True
        )
        scope_before, itself_before = _only(scope_then), _of(then, asked.product_id)
    others = (
        told.where(now.c.product_id != asked.product_id)
        .order_by(now.c.sessions.desc(), now.c.product_id)
        .limit(asked.first)
        .subquery("others")
    )
    rows = union_all(
        select(null().cast(Text).label("product_id"), scope.c.sessions, scope_before.label("before")),
        select(literal(asked.product_id, Text), _of(now, asked.product_id), itself_before),
        select(*others.c),
    ).subquery("rows")
    is_itself = rows.c.product_id == asked.product_id
    return select(*rows.c).order_by(
        rows.c.product_id.is_(None).desc(), is_itself.desc(), rows.c.sessions.desc(), rows.c.product_id
    )


def _only(counted: CTE) -> ColumnElement[Any]:
    return select(counted.c.sessions).scalar_subquery()


def _of(counted: CTE, product: str) -> ColumnElement[Any]:
    found = select(counted.c.sessions).where(counted.c.product_id == product).scalar_subquery()
    return func.coalesce(found, 0)


def _counted(asked: Asked, span: Span, max_sessions: int, name: str) -> tuple[CTE, CTE]:
    """How many sessions of a span are in no hour that is summed up; in how many each product was viewed with this."""
    edges = instants((span.start, span.end))
    cells = whole_cells("session_hour", edges).cte(f"{name}_cells")
    left = gaps([cells], edges).cte(f"{name}_gaps")
    summed_up = select(pair_hours.c.other_id.label("product_id"), pair_hours.c.sessions).join_from(
        cells, pair_hours, (pair_hours.c.hour == cells.c.starts_at) & (pair_hours.c.product_id == asked.product_id)
    )
    begun = (sessions.c.started_at >= left.c.starts_at) & (sessions.c.started_at < left.c.ends_at)
    people = begun & (sessions.c.views > 0) & ~sessions.c.bot
    some = select(sessions.c.started_at).join_from(left, sessions, people).limit(max_sessions + 1).subquery("some")
    scope = select(func.count().label("sessions")).select_from(some).cte(f"{name}_scope")
    allowed = _only(scope) <= max_sessions
    chosen = select(func.row_number().over().label("session"), sessions.c.path).join_from(left, sessions, people)
    together = _together(chosen.where(allowed).cte(f"{name}_chosen"), asked.product_id, name)
    both = union_all(summed_up, together).subquery("both")
    sums = select(both.c.product_id, total(both.c.sessions).label("sessions")).group_by(both.c.product_id)
    return scope, sums.cte(f"{name}_sums")


def _together(chosen: CTE, product: str, name: str) -> Statement:
    """How many of these sessions viewed each product, of those that viewed this one."""
    steps = steps_of(chosen.c.path)
    viewed = (
        select(chosen.c.session, product_id(steps.c.step).label("product_id"))
        .join_from(chosen, steps, true())
        .where(action(steps.c.step) == any_(literal(_VIEWS, ARRAY(Text))))
        .distinct()
        .cte(f"{name}_viewed")
    )
    with_it = select(viewed.c.session).where(viewed.c.product_id == literal(product, Text)).subquery("with_it")
    return (
        select(viewed.c.product_id, func.count(type_=BigInteger).label("sessions"))
        .join_from(viewed, with_it, with_it.c.session == viewed.c.session)
        .where(viewed.c.product_id.is_not(None))
        .group_by(viewed.c.product_id)
    )
