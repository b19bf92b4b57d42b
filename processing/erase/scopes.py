"""Which rows of the projections a person's events are in, and which other events those rows are made of.

A row belongs to a cell: a minute, a session id, a user. Rows of a cell are made of the events of that cell and of no
others; so the cells that have an event of the person are emptied, and made again from the events of everyone else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import duckdb
import pyarrow as pa

from processing.projection import Projection

Touched: TypeAlias = dict[str, list[Any]]
"""Cells by name of their scope: texts, or minutes since 1970."""


@dataclass(frozen=True)
class Scope:
    """One kind of cell."""

    name: str
    column: str
    """Of the projections' tables: the cell that a row belongs to."""
    of_event: str
    """SQL over the event log: the cell that an event belongs to. A text, or an instant."""
    projections: tuple[str, ...]
    is_time: bool = False

    @property
    def cells(self) -> str:
        """The name under which the touched cells are registered where events of others are asked for."""
        return f"cells_of_{self.name}"


MINUTES: Final = Scope(
    "minutes",
    "minute",
    "date_trunc('minute', timestamp)",
    ("product_minutes", "category_minutes", "site_minutes"),
    is_time=True,
)
ARRIVALS: Final = Scope("arrivals", "minute", "date_trunc('minute', log_time)", ("delays",), is_time=True)
SESSIONS: Final = Scope("sessions", "session_id", "session_id", ("sessions",))
PERSON: Final = Scope("person", "user_id", "user_id", ("conversions", "carts", "orders", "users", "user_categories"))
SCOPES: Final = (MINUTES, ARRIVALS, SESSIONS, PERSON)


def check(projections: Sequence[Projection]) -> None:
    """Raises ValueError where it is not known what cells a projection has: nothing may be left behind in it."""
    known = {name for scope in SCOPES for name in scope.projections}
    if unknown := [projection.name for projection in projections if projection.name not in known]:
        raise ValueError(f"no scope says what {', '.join(unknown)} holds of a person")


def touched_in(duck: duckdb.DuckDBPyConnection, view: str, user_id: str) -> Touched:
    """The cells that have an event of the person in this view of the log."""
    found: Touched = {}
    for scope in SCOPES:
        cell = f"CAST(epoch_us({scope.of_event}) // 60000000 AS BIGINT)" if scope.is_time else scope.of_event
        sql = f'SELECT DISTINCT {cell} AS cell FROM "{view}" WHERE user_id = $user ORDER BY cell'
        found[scope.name] = [cell for (cell,) in duck.execute(sql, {"user": user_id}).fetchall()]
    return found


def united(*parts: Touched) -> Touched:
    """The cells of all parts."""
    names = [scope.name for scope in SCOPES]
    return {name: sorted({cell for part in parts for cell in part.get(name, ())}) for name in names}


def whole_hours(touched: Touched, dropped: dict[str, set[int]]) -> Touched:
    """The same, with all minutes of a touched hour whose minutes were dropped: it can only be made anew of all of them.

    `dropped` are such hours since 1970, by scope.
    """
    wider = dict(touched)
    for name, hours in dropped.items():
        again = hours & {minute // 60 for minute in touched[name]}
        wider[name] = sorted({*touched[name], *(60 * hour + minute for hour in again for minute in range(60))})
    return wider


def cells(scope: Scope, touched: Touched) -> pa.Array:
    """The touched cells of a scope as the table's column has them."""
    if scope.is_time:
        return pa.array([60_000_000 * minute for minute in touched[scope.name]], pa.timestamp("us", "UTC"))
    return pa.array(touched[scope.name], pa.string())


def events_of_others(scope: Scope, touched: Touched) -> str:
    """SQL over the log: an event of a touched cell that is not the person's.

    The cells must be registered as `scope.cells` says (column `cell`), the person's id as `person` (column `id`).
    """
    where = f"{scope.of_event} IN (SELECT cell FROM {scope.cells}) AND user_id <> (SELECT id FROM person)"
    if scope.is_time and touched[scope.name]:
        # So that files and row groups of other times are not read.
        column = "timestamp" if scope is MINUTES else "log_time"
        first, until = (60_000_000 * minute for minute in (touched[scope.name][0], touched[scope.name][-1] + 1))
        where += f" AND {column} >= make_timestamptz({first}) AND {column} < make_timestamptz({until})"
    return where
