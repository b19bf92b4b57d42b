"""A delta folded into its table: read the rows that it meets, combine, write what came of it. Inside one transaction.

Only the one writer does this (`processing.store`), so what was read is still true when it is written.
"""

from dataclasses import dataclass

import pyarrow as pa

from processing.arrow_types import typed
from processing.duck import Duck
from processing.projection import Projection
from processing.store import Transaction


@dataclass(frozen=True)
class Merged:
    """What a delta did to its table."""

    projection: Projection
    written: pa.Table
    """Rows as the table holds them now."""
    gone: pa.Table
    """Keys of rows that are no longer there: they were joined into others."""


def fold_in(transaction: Transaction, duck: Duck, projection: Projection, delta: pa.Table) -> Merged:
    """Fold a delta into the projection's table."""
    name = projection.name
    transaction.load(f"meet_{name}", delta.select(list(projection.fold.meeting)))
    there = typed(transaction.query(rows_met(projection, f"meet_{name}", delta.column_names)), projection.table)
    merged = typed(projection.fold.combine(duck, pa.concat_tables([there, delta])), projection.table)
    gone = _gone(duck, projection, there, merged)
    _delete(transaction, projection, gone)
    _write(transaction, projection, merged)
    return Merged(projection, merged, gone)


def rows_met(projection: Projection, staged: str, columns: list[str]) -> str:
    """SQL for each row of the projection's table that a row of the table `staged` meets, once."""
    name, fold = projection.name, projection.fold
    wanted = ", ".join(f't."{column}"' for column in columns)
    if fold.meeting == projection.keys:
        return f"SELECT {wanted} FROM {staged} d JOIN {name} t ON {fold.met}"
    keys = ", ".join(projection.keys)
    each = ", ".join(f"t.{key}" for key in projection.keys)
    return (
        f"WITH met AS MATERIALIZED (SELECT DISTINCT {each} FROM {staged} d JOIN {name} t ON {fold.met})"
        f" SELECT {wanted} FROM met JOIN {name} t USING ({keys})"
    )


def _gone(duck: Duck, projection: Projection, there: pa.Table, merged: pa.Table) -> pa.Table:
    keys = list(projection.keys)
    if there.num_rows == 0:
        return there.select(keys)
    return duck.query(
        f"SELECT * FROM there ANTI JOIN merged USING ({', '.join(keys)})",
        there=there.select(keys),
        merged=merged.select(keys),
    )


def _delete(transaction: Transaction, projection: Projection, gone: pa.Table) -> None:
    if gone.num_rows:
        staged = f"gone_{projection.name}"
        transaction.load(staged, gone)
        same = " AND ".join(f"t.{key} = g.{key}" for key in projection.keys)
        transaction.execute(f"DELETE FROM {projection.name} t USING {staged} g WHERE {same}")


def _write(transaction: Transaction, projection: Projection, merged: pa.Table) -> None:
    staged = f"merged_{projection.name}"
    transaction.load(staged, merged)
    columns = ", ".join(f'"{column}"' for column in merged.column_names)
    keys = ", ".join(projection.keys)
    updates = ", ".join(f'"{c}" = excluded."{c}"' for c in merged.column_names if c not in projection.keys)
    transaction.execute(
        f"INSERT INTO {projection.name} ({columns}) SELECT {columns} FROM {staged} ORDER BY {keys}"
        f" ON CONFLICT ({keys}) DO UPDATE SET {updates}"
    )
