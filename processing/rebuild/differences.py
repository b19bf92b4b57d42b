"""The live tables compared with the shadow tables, row by row and to the byte, inside Postgres."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import LargeBinary

from processing import sketches
from processing.projection import Projection
from processing.store import Transaction

EXAMPLES: Final = 5
"""Rows shown per table."""
_TOLD: Final = ("events", "purchased_at", "revenue", "last_epoch")
"""What is shown of a row that is on one side only."""


@dataclass(frozen=True)
class Example:
    """A row that differs."""

    key: dict[str, Any]
    live: dict[str, Any] | None
    """Columns that differ, as the live table has them; None: it lacks the row."""
    rebuilt: dict[str, Any] | None
    """The same columns as the log says; None: there is no such row."""


@dataclass(frozen=True)
class Difference:
    """How a live table differs from what the log says."""

    table: str
    rows: int
    """Rows by the log."""
    missing: int = 0
    """Rows that the live table lacks."""
    extra: int = 0
    """Rows that only the live table has."""
    different: int = 0
    """Rows with the same key and other values."""
    examples: tuple[Example, ...] = field(default=())
    note: str = ""
    """Why the tables were not compared, if they were not."""

    @property
    def is_equal(self) -> bool:
        return not (self.note or self.missing or self.extra or self.different)


def compare(
    transaction: Transaction, live: str, shadow: str, projection: Projection, rows: str, *, comparable: bool
) -> Difference:
    """Compare the rows that match the SQL condition `rows`, in the schemas `live` and `shadow`.

    Not `comparable`: the live table is not there, or made by another definition, whose rows mean something else.
    """
    name = projection.name
    (count,) = transaction.query(f'SELECT count(*) AS n FROM "{shadow}".{name} WHERE {rows}')["n"].to_pylist()
    if not comparable:
        return Difference(name, count, note="made by another definition: not compared")
    keys = ", ".join(projection.keys)
    columns = [column.name for column in projection.table.columns]
    left, right = (", ".join(f'{side}."{column}"' for column in columns) for side in "lr")
    # The stream's statements look up few rows; this one reads two whole tables.
    transaction.execute(
        "SELECT set_config(name, 'on', true) FROM unnest('{enable_hashjoin,enable_mergejoin}'::text[]) name"
    )
    pairs = (
        f'FROM (SELECT *, true AS is_live FROM "{live}".{name} WHERE {rows}) l'
        f' FULL JOIN (SELECT *, true AS is_rebuilt FROM "{shadow}".{name} WHERE {rows}) r USING ({keys})'
        f" WHERE l.is_live IS NULL OR r.is_rebuilt IS NULL OR ({left}) IS DISTINCT FROM ({right})"
    )
    (counts,) = transaction.query(
        "SELECT count(*) FILTER (WHERE is_live IS NULL) AS missing,"
        " count(*) FILTER (WHERE is_rebuilt IS NULL) AS extra,"
        f" count(*) FILTER (WHERE is_live AND is_rebuilt) AS different {pairs}"
    ).to_pylist()
    if not any(counts.values()):
        return Difference(name, count)
    shown = transaction.query(
        f"SELECT to_jsonb(l)::text AS live, to_jsonb(r)::text AS rebuilt {pairs} ORDER BY {keys} LIMIT {EXAMPLES}"
    ).to_pylist()
    examples = tuple(_example(projection, row["live"], row["rebuilt"]) for row in shown)
    return Difference(name, count, **counts, examples=examples)


def _example(projection: Projection, live_text: str | None, rebuilt_text: str | None) -> Example:
    live, rebuilt = (_shown(projection, json.loads(text)) if text else None for text in (live_text, rebuilt_text))
    row = rebuilt or live or {}
    key = {name: row[name] for name in projection.keys}
    if live is None or rebuilt is None:
        shown = {name: value for name, value in row.items() if name in _TOLD}
        return Example(key, shown if live else None, shown if rebuilt else None)
    differ = [name for name in live if live[name] != rebuilt[name]]
    return Example(key, {name: live[name] for name in differ}, {name: rebuilt[name] for name in differ})


def _shown(projection: Projection, row: dict[str, Any]) -> dict[str, Any]:
    """A row as people read it: of a sketch, its estimate and a part of its bytes."""
    row = {name: value for name, value in row.items() if name in projection.table.columns}
    for column in projection.table.columns:
        if isinstance(column.type, LargeBinary):
            row[column.name] = _shown_sketch(bytes.fromhex(row[column.name].removeprefix("\\x")))
    return row


def _shown_sketch(sketch: bytes) -> str:
    try:
        return f"{sketches.estimate(sketch):.0f} users ({sketch[-4:].hex()})"
    except (RuntimeError, ValueError) as error:
        return f"no sketch: {error}"


def total(differences: Sequence[Difference]) -> int:
    """Rows that differ, of all tables."""
    return sum(each.missing + each.extra + each.different for each in differences)
