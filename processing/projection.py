"""What a projection is: a table, a delta over events, and a fold of rows. Nothing else knows about it.

The delta is Spark SQL over the view `events` (columns: `processing.batch.EVENT_LOG`), the same text for the stream and
for a rebuild from the Delta log. The fold joins rows that belong together; it is commutative, associative and has
no other input, so order, batching, replay and lateness cannot change what the table ends up holding.
"""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from sqlalchemy import LargeBinary, Table
from sqlalchemy.dialects.postgresql import ARRAY

from processing.grouping import Rule, combined


class Fold(Protocol):
    """How rows of a table and rows of a delta become the rows of the table."""

    @property
    def meeting(self) -> tuple[str, ...]:
        """The columns of a delta row by which it meets rows of the table."""

    @property
    def met(self) -> str:
        """SQL condition between a row `t` of the table and a row `d` of the delta: the two belong together."""

    @property
    def common(self) -> tuple[str, ...]:
        """Columns in which all rows that belong together agree; others may agree in them, too."""

    def combine(self, rows: pa.Table) -> pa.Table:
        """Rows of table and delta, in any order and number, as rows of the table."""


@dataclass(frozen=True)
class Projection:
    """One materialised view of the log."""

    table: Table
    delta: str
    fold: Fold

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def keys(self) -> tuple[str, ...]:
        """The table's primary key."""
        return tuple(column.name for column in self.table.primary_key)

    @property
    def fits_a_page(self) -> bool:
        """Whether no row can be longer than 8 kB: beside its numbers it has but a few ids and categories."""
        return not any(isinstance(column.type, LargeBinary | ARRAY) for column in self.table.columns)


@dataclass(frozen=True)
class KeyedFold:
    """Rows of one key become one row, a rule per column."""

    keys: tuple[str, ...]
    rules: dict[str, Rule]

    @property
    def meeting(self) -> tuple[str, ...]:
        return self.keys

    @property
    def met(self) -> str:
        return " AND ".join(f"t.{key} = d.{key}" for key in self.keys)

    @property
    def common(self) -> tuple[str, ...]:
        return self.keys

    def combine(self, rows: pa.Table) -> pa.Table:
        """See `Fold.combine`."""
        return combined(rows, self.keys, self.rules)


def keyed(table: Table, delta: str, rules: dict[str, Rule]) -> Projection:
    """A projection by primary key. `last_epoch`, the newest epoch that touched a row, is every table's own column."""
    keys = tuple(column.name for column in table.primary_key)
    return Projection(table, delta, KeyedFold(keys, rules | {"last_epoch": Rule.MAX}))
