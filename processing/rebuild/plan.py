"""What to rebuild: which projections, whole or only the rows of a span of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from processing.errors import ProcessingError
from processing.projection import Projection
from processing.projections.pairs import PairFold

_TIME_OF_ROW: Final = {
    "product_minutes": "minute",
    "category_minutes": "minute",
    "site_minutes": "minute",
    "conversions": "happened_at",
    "carts": "happened_at",
    "delays": "minute",
}
"""Projections whose rows depend on the events of a span of time alone, and the column that says which span.

A session, an order or a user may have events at any time.
"""


class RebuildError(ProcessingError):
    """Nothing was changed. The message says why, and what to do."""


@dataclass(frozen=True)
class Span:
    """From `start` up to, not including, `until`; whole minutes in UTC."""

    start: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.start >= self.until:
            raise RebuildError("--from must lie before --to")
        if any(time.second or time.microsecond for time in (self.start, self.until)):
            raise RebuildError("--from and --to must be whole minutes: the rows of minutes are replaced as they are")

    def rows(self, projection: Projection) -> str:
        """SQL: a row of the projection's table is in the span."""
        column = _TIME_OF_ROW[projection.name]
        return f"{column} >= {_literal(self.start)} AND {column} < {_literal(self.until)}"

    def events(self, after_ms: int) -> str:
        """SQL: an event that any row of the span depends on. Others do not matter: they touch other rows.

        `after_ms` is how long after the span an event may still change a row of it.
        """
        start, until = _literal(self.start), _literal(self.until)
        return (
            f"(timestamp >= {start} AND timestamp <= {until} + INTERVAL '{after_ms} milliseconds'"
            f" OR log_time >= {start} AND log_time < {until})"
        )


@dataclass(frozen=True)
class Plan:
    """A rebuild as it was asked for."""

    projections: tuple[Projection, ...]
    span: Span | None = None
    """None: all rows."""
    swap: bool = True
    """Whether to put the new tables in the place of the live ones, or only to compare."""

    def rows(self, projection: Projection) -> str:
        """SQL: a row of the projection's table is to be replaced."""
        return self.span.rows(projection) if self.span else "true"

    @property
    def events(self) -> str:
        """SQL: an event that the new rows depend on."""
        if self.span is None:
            return "true"
        folds = (projection.fold for projection in self.projections)
        return self.span.events(max((fold.window_ms for fold in folds if isinstance(fold, PairFold)), default=0))


def choose(projections: tuple[Projection, ...], names: Sequence[str], span: Span | None) -> tuple[Projection, ...]:
    """The named projections; without names all, of a span all that have spans. Raises RebuildError."""
    known = {projection.name: projection for projection in projections}
    if unknown := [name for name in names if name not in known]:
        raise RebuildError(f"no such projection: {', '.join(unknown)}. There are {', '.join(known)}")
    if span is not None and (timeless := [name for name in names if name not in _TIME_OF_ROW]):
        raise RebuildError(
            f"{', '.join(timeless)} can only be rebuilt whole: a row may depend on events of any time."
            f" A span of time can be rebuilt of {', '.join(_TIME_OF_ROW)}"
        )
    wanted = set(names) or (_TIME_OF_ROW.keys() if span else known.keys())
    return tuple(projection for projection in projections if projection.name in wanted)


def _literal(time: datetime) -> str:
    return f"TIMESTAMPTZ '{time.astimezone(UTC).isoformat()}'"
