"""Products viewed in the sessions in which one product was: from whole hours summed up, and from paths where there are
none yet."""

from dataclasses import dataclass

from sqlalchemy import CTE, BigInteger, Text, func, literal, null, select, true, union_all

from contracts.projections import sessions
from contracts.rollup_reads import gaps, instants, whole_cells
from contracts.rollups import pair_hours
from serving.queries import Statement
from serving.queries.measures import total
from serving.queries.paths import action, product_id, steps_of
from serving.windows import Span

_VIEWS = ("page_view", "view")


@dataclass(frozen=True)
class Asked:
    """Which product, in the sessions of which time."""

    product_id: str
    span: Span
    first: int
    """Most other products."""


def also_viewed(asked: Asked, max_sessions: int) -> Statement:
    """A row of `scope`, `product_id` null; one of the product itself; then of the others, the most often seen first.

    `scope` is how many sessions are in no hour that is summed up, counted up to one over the maximum. Over it the rest
    is of summed up hours alone.
    """
    edges = instants((asked.span.start, asked.span.end))
    cells = whole_cells("session_hour", edges).cte("cells")
    left = gaps([cells], edges).cte("gaps")
    summed_up = select(pair_hours.c.other_id.label("product_id"), pair_hours.c.sessions).join_from(
        cells, pair_hours, (pair_hours.c.hour == cells.c.starts_at) & (pair_hours.c.product_id == asked.product_id)
    )
    begun = (sessions.c.started_at >= left.c.starts_at) & (sessions.c.started_at < left.c.ends_at)
    people = begun & (sessions.c.views > 0) & ~sessions.c.bot
    some = select(sessions.c.started_at).join_from(left, sessions, people).limit(max_sessions + 1).subquery("some")
    counting = select(func.count().label("sessions")).select_from(some).cte("scope")
    allowed = select(counting.c.sessions).scalar_subquery() <= max_sessions
    chosen = select(func.row_number().over().label("session"), sessions.c.path).join_from(left, sessions, people)
    together = _together(chosen.where(allowed).cte("chosen"), asked.product_id)
    both = union_all(summed_up, together).subquery("both")
    is_itself = both.c.product_id == asked.product_id
    ranked = (
        select(both.c.product_id, total(both.c.sessions).label("sessions"))
        .group_by(both.c.product_id)
        .order_by(is_itself.desc(), total(both.c.sessions).desc(), both.c.product_id)
        .limit(asked.first + 1)
        .subquery("ranked")
    )
    rows = union_all(
        select(null().cast(Text).label("product_id"), counting.c.sessions),
        select(ranked.c.product_id, ranked.c.sessions),
    ).subquery("rows")
    itself = rows.c.product_id == asked.product_id
    return select(*rows.c).order_by(
        rows.c.product_id.is_(None).desc(), itself.desc(), rows.c.sessions.desc(), rows.c.product_id
    )


def _together(chosen: CTE, product: str) -> Statement:
    """How many of these sessions viewed each product, of those that viewed this one."""
    steps = steps_of(chosen.c.path)
    viewed = (
        select(chosen.c.session, product_id(steps.c.step).label("product_id"))
        .join_from(chosen, steps, true())
        .where(action(steps.c.step).in_(_VIEWS))
        .distinct()
        .cte("viewed")
    )
    with_it = select(viewed.c.session).where(viewed.c.product_id == literal(product, Text)).subquery("with_it")
    return (
        select(viewed.c.product_id, func.count(type_=BigInteger).label("sessions"))
        .join_from(viewed, with_it, with_it.c.session == viewed.c.session)
        .where(viewed.c.product_id.is_not(None))
        .group_by(viewed.c.product_id)
    )
