"""Which sessions a root reads: when they started, and what is known of them."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, exists, func, select

from contracts.projections import sessions
from serving.queries.measures import counted, moment
from serving.queries.paths import product_id, steps_of
from serving.windows import Span

SOURCE: Final[ColumnElement[Any]] = func.coalesce(
    func.nullif(sessions.c.campaign_source, ""), func.nullif(sessions.c.referrer_source, "")
)
"""Where the visitor came from: what the campaign says, else the site."""


@dataclass(frozen=True)
class Visits:
    """Sessions by their start and their attributes; None of a field means any."""

    span: Span | None = None
    bot: bool | None = None
    device: str | None = None
    medium: str | None = None
    source: str | None = None
    category: str | None = None
    product_id: str | None = None
    """Among the events of its path."""

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """All that they must meet."""
        if self.product_id is None:
            return self.by_columns
        steps = steps_of(sessions.c.path, "products")
        with_product = exists(select(steps.c.place).where(product_id(steps.c.step) == self.product_id))
        return [*self.by_columns, with_product]

    @property
    def by_columns(self) -> list[ColumnElement[bool]]:
        """What can be told without reading a path."""
        found = [counted(sessions, self.bot)]
        if self.span is not None:
            found += [sessions.c.started_at >= moment(self.span.start), sessions.c.started_at < moment(self.span.end)]
        told = (
            (sessions.c.device, self.device),
            (sessions.c.medium, self.medium),
            (SOURCE, self.source),
            (sessions.c.category, self.category),
        )
        return found + [column == value for column, value in told if value is not None]

    def scope(self, max_sessions: int, name: str = "scope") -> tuple[CTE, ColumnElement[bool]]:
        """How many sessions have their paths to be read, counted up to one over the maximum; and that it is kept.

        Paths are long: a statement that reads them has the condition, so that it reads none when there are too many.
        """
        some = select(sessions.c.started_at).where(*self.by_columns).limit(max_sessions + 1).subquery("some")
        counting = select(func.count().label("sessions")).select_from(some).cte(name)
        return counting, select(counting.c.sessions).scalar_subquery() <= max_sessions
