"""One table as it is served against what the log says, column by column; and for what differs, the events behind it."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import duckdb
import pyarrow as pa
from sqlalchemy import LargeBinary

from processing import sketches
from processing.verification.check import Check

EXAMPLES: Final = 10
"""Mismatches described per table."""
_SHOWN: Final = 5
"""Events and epochs named per mismatch."""


@dataclass(frozen=True)
class Cell:
    """A column in which a row differs."""

    column: str
    expected: Any
    found: Any


@dataclass(frozen=True)
class Evidence:
    """The events of the log that make up what is expected of a row."""

    events: int = 0
    event_ids: list[str] = field(default_factory=list)
    """A few of them."""
    epochs: list[int] = field(default_factory=list)
    """A few of the epochs that applied them."""


@dataclass(frozen=True)
class Mismatch:
    """A row that is not as the log says."""

    table: str
    key: dict[str, Any]
    kind: str
    """missing, extra or different"""
    cells: list[Cell]
    """All columns that differ; of a missing or extra row none."""
    evidence: Evidence


@dataclass(frozen=True)
class Verdict:
    """What became of one table's check."""

    table: str
    rows: int
    """Keys that were compared."""
    mismatches: int
    examples: list[Mismatch]

    def __add__(self, other: "Verdict") -> "Verdict":
        """Of two slices of one table."""
        examples = (self.examples + other.examples)[:EXAMPLES]
        return Verdict(self.table, self.rows + other.rows, self.mismatches + other.mismatches, examples)


def compare(duck: duckdb.DuckDBPyConnection, check: Check, members: str, expected: str) -> Verdict:
    """Compare the rows in DuckDB's view `served` with what comes of the statements over its view `log`."""
    duck.execute(f"CREATE OR REPLACE TEMP VIEW members AS {members}")
    _expect(duck, check, f"SELECT * FROM ({expected}) WHERE {check.kept}")
    others = [column.name for column in check.table.columns if not column.primary_key]
    differs = " OR ".join(f'e."{name}" IS DISTINCT FROM s."{name}"' for name in others)
    both = ", ".join(f'e."{name}" AS "e_{name}", s."{name}" AS "s_{name}"' for name in others)
    keys = ", ".join(check.keys)
    duck.execute(
        f"CREATE TEMP TABLE differing AS SELECT {keys}, e.it IS NULL AS is_extra, s.it IS NULL AS is_missing, {both}"
        " FROM (SELECT *, true AS it FROM expected) e FULL JOIN (SELECT *, true AS it FROM served) s"
        f" USING ({keys}) WHERE e.it IS NULL OR s.it IS NULL OR {differs}"
    )
    rows = _one(duck, "SELECT count(*) FROM expected") + _one(duck, "SELECT count(*) FROM differing WHERE is_extra")
    mismatches = _one(duck, "SELECT count(*) FROM differing")
    shown = duck.sql(f"FROM differing ORDER BY {keys} LIMIT {EXAMPLES}").to_arrow_table().to_pylist()
    examples = [_mismatch(duck, check, others, row) for row in shown]
    duck.execute("DROP TABLE differing")
    duck.execute("DROP TABLE expected")
    return Verdict(check.name, rows, mismatches, examples)


def _expect(duck: duckdb.DuckDBPyConnection, check: Check, sql: str) -> None:
    """Make the table `expected`. What the statement gives as members of sketches becomes the sketches of them."""
    of_sketches = [column.name for column in check.table.columns if isinstance(column.type, LargeBinary)]
    if not of_sketches:
        duck.execute(f"CREATE TEMP TABLE expected AS {sql}")
        return
    duck.execute(f"CREATE TABLE counted AS {sql}")
    duck.execute(
        "CREATE TEMP TABLE expected AS SELECT * REPLACE ({}) FROM counted LIMIT 0".format(
            ", ".join(f"''::BLOB AS {name}" for name in of_sketches)
        )
    )
    lists = duck.cursor()
    for batch in lists.sql("FROM counted").to_arrow_reader(10_000):
        part = pa.Table.from_batches([batch])
        for name in of_sketches:
            made = pa.array([sketches.of(members or ()) for members in part[name].to_pylist()], pa.binary())
            part = part.set_column(part.schema.get_field_index(name), name, made)
        duck.register("part", part)
        duck.execute("INSERT INTO expected BY NAME FROM part")
    duck.unregister("part")
    duck.execute("DROP TABLE counted")


def _mismatch(duck: duckdb.DuckDBPyConnection, check: Check, others: list[str], row: dict[str, Any]) -> Mismatch:
    key = {name: row[name] for name in check.keys}
    kind = "missing" if row["is_missing"] else "extra" if row["is_extra"] else "different"
    cells = [
        Cell(name, plain(row[f"e_{name}"]), plain(row[f"s_{name}"]))
        for name in others
        if kind == "different" and row[f"e_{name}"] != row[f"s_{name}"]
    ]
    return Mismatch(check.name, {name: plain(value) for name, value in key.items()}, kind, cells, _evidence(duck, key))


def _evidence(duck: duckdb.DuckDBPyConnection, key: dict[str, Any]) -> Evidence:
    same = " AND ".join(f"{name} = ?" for name in key)
    ((events, ids, epochs),) = duck.execute(
        "SELECT count(*), coalesce(list(event_id ORDER BY timestamp, event_id)[:?], []),"
        f" coalesce(list_sort(list(DISTINCT epoch))[:?], []) FROM members WHERE {same}",
        [_SHOWN, _SHOWN, *key.values()],
    ).fetchall()
    return Evidence(events, ids, epochs)


def plain(value: Any) -> Any:
    """A value as it is shown and kept: JSON's types, times in ISO 8601, of a sketch the number of its members."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return _sketch(value)
    return value


def _sketch(value: bytes) -> str:
    """Two different sketches must not look alike, even if they count the same."""
    try:
        return f"{sketches.estimate(value):.0f} users ({len(value)} bytes, {_digits(value)})"
    except (RuntimeError, ValueError) as error:
        return f"{len(value)} bytes that are no sketch: {error}"


def _digits(value: bytes) -> str:
    """The first digits of a hash."""
    return hashlib.sha256(value).hexdigest()[:8]


def _one(duck: duckdb.DuckDBPyConnection, sql: str) -> int:
    ((value,),) = duck.execute(sql).fetchall()
    return int(value)
