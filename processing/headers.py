"""Record headers as columns: a list of (key, value) per record becomes one column per name."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def header_columns(headers: pa.ChunkedArray, names: Iterable[str]) -> dict[str, pa.Array]:
    """The value of each named header, binary, null where a record has none; of repeated ones the first."""
    lists = headers.combine_chunks()
    pairs, records = lists.flatten(), pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    keys, values = pairs.field("key"), pairs.field("value")
    return {name: _first(lists, values, np.flatnonzero(pc.equal(keys, name)), records) for name in names}


def _first(
    lists: pa.Array,
    values: pa.Array,
    at: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    records: "np.ndarray[tuple[int], np.dtype[np.int64]]",
) -> pa.Array:
    places = np.full(len(lists), -1, np.int64)
    places[records[at[::-1]]] = at[::-1]  # of repeated places the last assignment stays, so the first header wins
    return values.take(pa.array(places, mask=places < 0))
