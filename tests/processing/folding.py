"""Logs folded in memory: deltas and folds as in an epoch, with a table for every row that a store would have."""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final, TypeAlias

import pyarrow as pa

from contracts.settings import ShopSettings
from processing.arrow_types import typed
from processing.deltas import DuckDeltas
from processing.projection import Projection
from processing.projections import build_projections
from tests.processing.expected import Rows, spelled
from tests.processing.log_rows import Row, log_table

Tables: TypeAlias = dict[str, pa.Table]
"""Rows by projection: deltas or tables. A projection without rows may be missing."""

PROJECTIONS: Final = build_projections(ShopSettings())
ENGINE: Final = DuckDeltas()


def deltas(rows: Sequence[Row], projections: Sequence[Projection] = PROJECTIONS) -> Tables:
    """The deltas of one epoch's rows."""
    if not rows:
        return {}
    return {each.name: delta for each, delta in ENGINE.deltas(log_table(rows), tuple(projections))}


def joined(*parts: Tables) -> Tables:
    """Tables and deltas folded into one another, sorted by key."""
    found = {}
    for projection in PROJECTIONS:
        rows = [part[projection.name] for part in parts if projection.name in part]
        if rows:
            common = [name for name in rows[0].column_names if all(name in each.column_names for each in rows)]
            combined = projection.fold.combine(pa.concat_tables([each.select(common) for each in rows]))
            keys = [(key, "ascending") for key in projection.keys]
            found[projection.name] = typed(combined, projection.table).sort_by(keys)
    return found


def folded(parts: Iterable[Sequence[Row]], projections: Sequence[Projection] = PROJECTIONS) -> Tables:
    """Projections of the parts, folded in one after another."""
    return reduce(joined, (deltas(part, projections) for part in parts), Tables())


def table_of(name: str, *parts: Sequence[Row]) -> Rows:
    """The rows of one projection's table after the parts."""
    (projection,) = (each for each in PROJECTIONS if each.name == name)
    return spelled(name, folded(parts, (projection,))[name])


def as_rows(tables: Tables) -> dict[str, Rows]:
    """Every table in the spelling of `expected`."""
    return {each.name: spelled(each.name, tables[each.name]) if each.name in tables else {} for each in PROJECTIONS}
