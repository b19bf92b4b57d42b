"""Intervals of one key that are less than a gap apart form islands: which of them belong to which."""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers: TypeAlias = npt.NDArray[np.int64]

US_PER_MS: Final = 1000


def in_order_of_islands(
    keys: pa.ChunkedArray, starts: pa.ChunkedArray, ends: pa.ChunkedArray, gap_ms: int
) -> tuple[Numbers, Numbers]:
    """Places of the intervals by key and start, and for each of these places the number of its island, from 0.

    An interval begins an island when it starts the gap or more after all that started before it have ended.
    `starts` and `ends` are timestamps in microseconds; parts of a millisecond do not count.
    """
    key, start, end = as_numbers(keys), _milliseconds(starts), _milliseconds(ends)
    order = np.lexsort((end, start, key))
    key, start, end = key[order], start[order], end[order]
    # The latest end so far within a key: as ranks, which with the key in front are small enough to be one number.
    ends_known, rank = np.unique(end, return_inverse=True)
    latest = np.maximum.accumulate(key * len(ends_known) + rank) - key * len(ends_known)
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (key[1:] != key[:-1]) | (start[1:] >= ends_known[latest[:-1]] + gap_ms)
    return order, np.cumsum(begins) - 1


def as_numbers(values: pa.ChunkedArray) -> Numbers:
    """Equal values as equal numbers, which are below the count of values."""
    codes = values.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.cast(pa.int64()).to_numpy(zero_copy_only=False))


def microseconds(times: pa.ChunkedArray) -> Numbers:
    """Timestamps, of which none is null, as numbers."""
    return np.asarray(pc.cast(times, pa.timestamp("us", times.type.tz)).cast(pa.int64()).to_numpy())


def _milliseconds(times: pa.ChunkedArray) -> Numbers:
    return microseconds(times) // US_PER_MS
