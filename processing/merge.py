"""A delta folded into its table: read the rows that it meets, combine, write what came of it. Inside one transaction.

Only the one writer does this (`processing.store`), so what was read is still true when it is written.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processing.arrow_types import typed
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


def fold_in(transaction: Transaction, projection: Projection, delta: pa.Table) -> Merged:
    """Fold a delta into the projection's table."""
    merged, was_there = _combined(projection, _met(transaction, projection, delta), delta)
    _write(transaction, merged, was_there)
    return merged


def fold_all(
    transaction: Transaction, beside: Executor, deltas: Iterable[tuple[Projection, pa.Table]]
) -> Iterator[Merged]:
    """Fold deltas into their tables; while Postgres reads and writes those of one, another is combined `beside`."""
    under_way = []
    for projection, delta in deltas:
        there = _met(transaction, projection, delta)
        under_way.append(beside.submit(_combined, projection, there, delta))
    for each in under_way:
        merged, was_there = each.result()
        _write(transaction, merged, was_there)
        yield merged


def _met(transaction: Transaction, projection: Projection, delta: pa.Table) -> pa.Table:
    """The rows of the table that the delta meets."""
    staged = f"meet_{projection.name}"
    transaction.load(staged, delta.select(list(projection.fold.meeting)), fits_a_page=True)  # as what is indexed must
    return typed(transaction.query(rows_met(projection, staged, delta.column_names)), projection.table)


def _combined(projection: Projection, there: pa.Table, delta: pa.Table) -> tuple[Merged, pa.BooleanArray]:
    """What is to be written, and which of its rows were there."""
    rows = typed(projection.fold.combine(pa.concat_tables([there, delta])), projection.table)
    was_there, gone = _is_among(projection, rows, there), there.select(list(projection.keys)).slice(0, 0)
    if was_there.true_count < there.num_rows:
        gone = there.select(list(projection.keys)).filter(pc.invert(_is_among(projection, there, rows)))
    return Merged(projection, rows, gone), was_there


def rows_met(projection: Projection, staged: str, columns: list[str]) -> str:
    """SQL for each row of the projection's table that a row of the table `staged` meets, once."""
    name, fold = projection.name, projection.fold
    wanted = ", ".join(f't."{column}"' for column in columns)
    if fold.meeting == projection.keys:
        return f"SELECT {wanted} FROM {staged} d JOIN {name} t ON {fold.met}"
    return (
        f"WITH met AS MATERIALIZED (SELECT DISTINCT t.ctid AS place FROM {staged} d JOIN {name} t ON {fold.met})"
        f" SELECT {wanted} FROM met JOIN {name} t ON t.ctid = met.place"
    )


def _is_among(projection: Projection, rows: pa.Table, others: pa.Table) -> pa.BooleanArray:
    """Whether each of the rows has its key in common with one of the others."""
    keys, found = list(projection.keys), np.zeros(rows.num_rows, np.bool_)
    if not rows.num_rows or not others.num_rows:
        return pa.array(found)
    numbered = rows.select(keys).append_column("number", pa.array(np.arange(rows.num_rows)))
    common = numbered.join(others.select(keys), keys, join_type="left semi", use_threads=False)
    found[common["number"].to_numpy()] = True
    return pa.array(found)


def _write(transaction: Transaction, merged: Merged, was_there: pa.BooleanArray) -> None:
    """Rows that were there are updated, others inserted: together in one statement they cost half as much again.

    A row that was not met may still be there: a copy of an event that came after its id was forgotten.
    """
    projection, rows = merged.projection, merged.written
    name, staged = projection.name, f"merged_{projection.name}"
    if merged.gone.num_rows:
        transaction.load(f"gone_{name}", merged.gone, fits_a_page=True)
        same = " AND ".join(f"t.{key} = g.{key}" for key in projection.keys)
        transaction.execute(f"DELETE FROM {name} t USING gone_{name} g WHERE {same}")
    transaction.load(staged, rows.append_column("was_there", was_there), fits_a_page=projection.fits_a_page)
    values = [column for column in rows.column_names if column not in projection.keys]
    if pc.any(was_there).as_py():
        updates = ", ".join(f'"{column}" = m."{column}"' for column in values)
        same = " AND ".join(f"t.{key} = m.{key}" for key in projection.keys)
        transaction.execute(f"UPDATE {name} t SET {updates} FROM {staged} m WHERE m.was_there AND {same}")
    if not pc.all(was_there).as_py():
        columns = ", ".join(f'"{column}"' for column in rows.column_names)
        keys = ", ".join(projection.keys)
        updates = ", ".join(f'"{column}" = excluded."{column}"' for column in values)
        transaction.execute(
            f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {staged} WHERE NOT was_there"
            f" ON CONFLICT ({keys}) DO UPDATE SET {updates}"
        )
