"""A session's path: its steps as texts in their order, and the times of the funnel that are read off it."""

from collections.abc import Mapping
from functools import reduce
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processing.islands import Numbers

_TIME: Final = slice(2, 17)
_ACTION: Final = 20
"""Where a step's time (milliseconds since 1970, with zeros in front) is and its action begins, so neither is parsed."""
_NEVER: Final = np.iinfo(np.int64).max


def joined(paths: pa.ChunkedArray, owners: Numbers, count: int, longest: int) -> pa.ListArray:
    """Paths of one owner (0 to `count` - 1, ascending) as one, in order, without what is beyond the longest."""
    steps, owner = _flat(paths, owners)
    if not _is_in_order(steps, owner):
        order = pc.sort_indices(
            pa.table({"owner": owner, "step": steps}), sort_keys=[("owner", "ascending"), ("step", "ascending")]
        )
        steps = steps.take(order)  # whose they are is as before: owners are in order already
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    kept = place < longest
    starts = np.searchsorted(owner[kept], np.arange(count + 1))
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), steps.filter(pa.array(kept)))


def funnel_times(paths: pa.ChunkedArray, funnel: Mapping[str, tuple[str, ...]]) -> dict[str, pa.Array]:
    """For each step of the funnel the time of the first step of the path that reaches it, not before the one ahead.

    `funnel` has the actions that reach a step. Times are timestamps in microseconds, null where the path does not get
    that far.
    """
    count = len(paths)
    steps, owner = _flat(paths, np.arange(count))
    time = np.asarray(pc.utf8_slice_codeunits(steps, _TIME.start, _TIME.stop).cast(pa.int64()).to_numpy())
    action = pc.utf8_slice_codeunits(steps, _ACTION)
    since, found = np.zeros(count, np.int64), {}
    for name, actions in funnel.items():
        reached = reduce(pc.or_, (pc.starts_with(action, f'{each}"') for each in actions))
        reaching = np.asarray(reached.to_numpy(zero_copy_only=False)) & (time >= since[owner])
        since = np.full(count, _NEVER)
        np.minimum.at(since, owner[reaching], time[reaching])
        never = since == _NEVER
        found[name] = pa.array(np.where(never, 0, since), pa.timestamp("ms", "UTC"), mask=never).cast(
            pa.timestamp("us", "UTC")
        )
    return found


def _flat(paths: pa.ChunkedArray, owners: Numbers) -> tuple[pa.Array, Numbers]:
    """All steps one after another, and whose each is."""
    lists = paths.combine_chunks()
    lengths = np.asarray(pc.list_value_length(lists).fill_null(0).to_numpy())
    return lists.flatten(), np.repeat(owners, lengths)


def _is_in_order(steps: pa.Array, owner: Numbers) -> bool:
    if not len(steps):
        return True
    rising = np.asarray(pc.less_equal(steps[:-1], steps[1:]).to_numpy(zero_copy_only=False))
    return bool(np.all(rising | (owner[1:] != owner[:-1])))
