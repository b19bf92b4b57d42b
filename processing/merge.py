"""A delta folded into its table: read the rows that it meets, combine, write what came of it. Inside one transaction.

Only the one writer does this (`processing.store`), so what was read is still true when it is written.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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


class Merge:
    """One delta on its way into its table: `read`, then `combine`, which any thread may do, then `write`."""

    def __init__(self, projection: Projection, delta: pa.Table) -> None:
        self.projection = projection
        self._delta = delta
        self._there = self._merged = delta.slice(0, 0)

    def read(self, transaction: Transaction) -> None:
        """Read the rows that the delta meets."""
        staged, columns = f"meet_{self.projection.name}", self._delta.column_names
        transaction.load(staged, self._delta.select(list(self.projection.fold.meeting)))
        there = transaction.query(rows_met(self.projection, staged, columns))
        self._there = typed(there, self.projection.table)

    def combine(self, duck: Duck) -> None:
        """Combine them with the delta."""
        rows = pa.concat_tables([self._there, self._delta])
        self._merged = typed(self.projection.fold.combine(duck, rows), self.projection.table)
        self._was_there = _is_among(self.projection, self._merged, self._there)
        self._remains = _is_among(self.projection, self._there, self._merged)

    def write(self, transaction: Transaction) -> Merged:
        """Write what came of it."""
        gone = self._there.select(list(self.projection.keys)).filter(pc.invert(self._remains))
        _delete(transaction, self.projection, gone)
        _write(transaction, self.projection, self._merged, self._was_there)
        return Merged(self.projection, self._merged, gone)


def fold_in(transaction: Transaction, duck: Duck, projection: Projection, delta: pa.Table) -> Merged:
    """Fold a delta into the projection's table."""
    merge = Merge(projection, delta)
    merge.read(transaction)
    merge.combine(duck)
    return merge.write(transaction)


def fold_all(
    transaction: Transaction, duck: Duck, beside: Executor, deltas: Iterable[tuple[Projection, pa.Table]]
) -> Iterator[Merged]:
    """Fold deltas into their tables; while Postgres reads and writes those of one, another is combined `beside`.

    `duck` is used by `beside` alone till all is done, and is given no two things at a time.
    """
    under_way: list[tuple[Merge, Future[None]]] = []
    for projection, delta in deltas:
        merge = Merge(projection, delta)
        merge.read(transaction)
        under_way.append((merge, beside.submit(merge.combine, duck)))
    for merge, combined in under_way:
        combined.result()
        yield merge.write(transaction)


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
    numbered = rows.select(keys).append_column("number", pa.array(np.arange(rows.num_rows)))
    common = numbered.join(others.select(keys), keys, join_type="left semi", use_threads=False)
    found[common["number"].to_numpy()] = True
    return pa.array(found)


def _delete(transaction: Transaction, projection: Projection, gone: pa.Table) -> None:
    if gone.num_rows:
        staged = f"gone_{projection.name}"
        transaction.load(staged, gone)
        same = " AND ".join(f"t.{key} = g.{key}" for key in projection.keys)
        transaction.execute(f"DELETE FROM {projection.name} t USING {staged} g WHERE {same}")


def _write(transaction: Transaction, projection: Projection, merged: pa.Table, was_there: pa.BooleanArray) -> None:
    """Rows that were there are updated, others inserted: together in one statement they cost half as much again.

    A row that was not met may still be there: a copy of an event that came after its id was forgotten.
    """
    name, staged = projection.name, f"merged_{projection.name}"
    transaction.load(staged, merged.append_column("was_there", was_there))
    values = [column for column in merged.column_names if column not in projection.keys]
    if pc.any(was_there).as_py():
        updates = ", ".join(f'"{column}" = m."{column}"' for column in values)
        same = " AND ".join(f"t.{key} = m.{key}" for key in projection.keys)
        transaction.execute(f"UPDATE {name} t SET {updates} FROM {staged} m WHERE m.was_there AND {same}")
    if not pc.all(was_there).as_py():
        columns = ", ".join(f'"{column}"' for column in merged.column_names)
        keys = ", ".join(projection.keys)
        updates = ", ".join(f'"{column}" = excluded."{column}"' for column in values)
        transaction.execute(
            f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {staged} WHERE NOT was_there"
            f" ON CONFLICT ({keys}) DO UPDATE SET {updates}"
        )
