"""Rows cut into parts that can each be grouped alone: what belongs together is in one part."""

import numpy as np
import pyarrow as pa

from processing.duck import Duck


def sliced(duck: Duck, rows: pa.Table, common: tuple[str, ...], count: int) -> list[pa.Table]:
    """The rows in so many parts, by the hash of the columns `common`."""
    if count == 1:
        return [rows]
    places = duck.query(
        f"SELECT hash({', '.join(common)}) % {count} AS place FROM rows", rows=rows.select(list(common))
    )["place"].to_numpy()
    ends = np.cumsum(np.bincount(places, minlength=count))
    ordered = rows.take(pa.array(np.argsort(places, kind="stable")))
    return [ordered.slice(start, end - start) for start, end in zip((0, *ends[:-1]), ends, strict=True)]
