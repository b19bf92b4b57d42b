"""What a projection is: a name, a table, a delta over events and a merge into the table. Nothing else knows about it.

The delta is Spark SQL over the view `events` (columns: `processing.batch.EVENT_LOG`), the same text for the stream and
for a rebuild from the Delta log. The merge is commutative and associative, so order, batching, replay and lateness
cannot change what the table ends up holding.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import pyarrow as pa
from sqlalchemy import Table

from processing import sketches
from processing.store import Transaction


class Rule(Enum):
    """How one column of a delta row meets the column of the row that is there."""

    SUM = auto()
    UNITE = auto()
    """Union of theta sketches."""


class Merge(Protocol):
    """The second half of a projection."""

    def apply(self, transaction: Transaction, delta: pa.Table, epoch: int) -> pa.Table:
        """Fold a delta into the table; returns `key` and `row` as JSON texts: what changed, no row for what is gone."""


@dataclass(frozen=True)
class Projection:
    """One materialised view of the log."""

    table: Table
    delta: str
    merge: Merge

    @property
    def name(self) -> str:
        return self.table.name


@dataclass(frozen=True)
class KeyedMerge:
    """Merge by key, a rule per column. Columns `revision` and `last_epoch` are kept by the merge itself."""

    table: Table
    rules: dict[str, Rule]

    def apply(self, transaction: Transaction, delta: pa.Table, epoch: int) -> pa.Table:
        staged = f"delta_{self.table.name}"
        keys = [column.name for column in self.table.primary_key]
        transaction.load(staged, self._united(transaction, delta, keys))
        measures = list(self.rules)
        columns = ", ".join([*keys, *measures])
        updates = ", ".join(f"{name} = {self._merged(name)}" for name in measures)
        order = ", ".join(keys)
        key_json = ", ".join(f"'{key}', {key}" for key in keys)
        sketch_columns = "".join(f" - '{name}'" for name, rule in self.rules.items() if rule is Rule.UNITE)
        return transaction.query(
            f"WITH changed AS (INSERT INTO {self.table.name} AS t ({columns}, revision, last_epoch)"
            f" SELECT {columns}, (late > 0)::int, $1 FROM {staged} ORDER BY {order}"
            f" ON CONFLICT ({order}) DO UPDATE SET {updates},"
            " revision = t.revision + excluded.revision, last_epoch = excluded.last_epoch RETURNING t.*)"
            f" SELECT json_build_object({key_json})::text AS key, (to_jsonb(changed){sketch_columns})::text AS row"
            " FROM changed",
            (epoch,),
        )

    def _merged(self, name: str) -> str:
        match self.rules[name]:
            case Rule.SUM:
                return f"t.{name} + excluded.{name}"
            case Rule.UNITE:
                return f"excluded.{name}"  # united with what was there before it was staged

    def _united(self, transaction: Transaction, delta: pa.Table, keys: list[str]) -> pa.Table:
        """The delta with each sketch united with the one that the table holds under the same key."""
        sketch_columns = [name for name, rule in self.rules.items() if rule is Rule.UNITE]
        if not sketch_columns:
            return delta
        ordinals = pa.array(range(delta.num_rows), pa.int32())
        transaction.load(f"keys_{self.table.name}", delta.select(keys).append_column("ordinal", ordinals))
        there = transaction.query(
            f"SELECT k.ordinal, {', '.join(f't.{name}' for name in sketch_columns)}"
            f" FROM keys_{self.table.name} k JOIN {self.table.name} t USING ({', '.join(keys)})"
        )
        rows = there["ordinal"].to_pylist()
        for name in sketch_columns:
            values = delta[name].to_pylist()
            for row, kept in zip(rows, there[name].to_pylist(), strict=True):
                values[row] = sketches.unite(kept, values[row])
            delta = delta.set_column(delta.schema.get_field_index(name), name, pa.array(values, pa.binary()))
        return delta
