"""How the values that rows of one key have in a column become one value, over Arrow tables.

Grouping is Arrow's own. As a query of DuckDB's it cost an epoch ten to twenty times as much for as many rows as an
epoch has: the statement is planned anew each time. For half a million rows both take the same.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processing import sketches


class Rule(Enum):
    """How one column's values of one key become one value. The value is the name of Arrow's aggregation."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    GATHER = "gather"
    """Lists as one sorted list without repetitions."""
    UNITE = "unite"
    """Union of theta sketches."""


_PLACE: Final = "place among the rows"
_OURS: Final = (Rule.GATHER, Rule.UNITE)


def combined(rows: pa.Table, keys: tuple[str, ...], rules: Mapping[str, Rule]) -> pa.Table:
    """One row per key, with the columns of the keys and of the rules. No rule minds nulls beside values."""
    plain = [(name, rule.value) for name, rule in rules.items() if rule not in _OURS]
    placed = rows.append_column(_PLACE, pa.array(np.arange(rows.num_rows)))
    groups = placed.group_by(list(keys), use_threads=False).aggregate([*plain, (_PLACE, "list")])
    members = groups[f"{_PLACE}_list"].combine_chunks()
    found = {key: groups[key] for key in keys}
    for name, rule in rules.items():
        match rule:
            case Rule.GATHER:
                found[name] = _gathered(rows[name], members)
            case Rule.UNITE:
                found[name] = _united(rows[name], members)
            case _:
                found[name] = groups[f"{name}_{rule.value}"]
    return pa.table(found)


def _united(values: pa.ChunkedArray, members: pa.ListArray) -> pa.Array:
    """The union of each group's sketches. `members` has for each group the places of its rows."""
    given = values.to_pylist()
    return pa.array([sketches.unite(*(given[place] for place in group)) for group in members.to_pylist()], pa.binary())


def _gathered(lists: pa.ChunkedArray, members: pa.ListArray) -> pa.Array:
    """The elements of each group's lists, sorted."""
    row_group = pc.list_parent_indices(members)
    in_order = lists.take(members.flatten()).combine_chunks()
    pairs = pa.table({"group": row_group.take(pc.list_parent_indices(in_order)), "element": in_order.flatten()})
    pairs = pairs.group_by(["group", "element"], use_threads=False).aggregate([])
    pairs = pairs.sort_by([("group", "ascending"), ("element", "ascending")])
    starts = np.searchsorted(pairs["group"].to_numpy(), np.arange(len(members) + 1))
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pairs["element"].combine_chunks())
