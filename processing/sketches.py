"""Theta sketches (Apache DataSketches): sets that can be united, with a counted size.

A sketch keeps the 4,096 smallest hashes of its members: up to so many the count is exact, above its standard error is
1.6 %. The smallest hashes of a union are the same in whatever order it is made, so merging is exact in that sense too.
"""

from collections.abc import Collection
from typing import Final

from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

LG_NOMINAL_ENTRIES: Final = 12


def unite(*sketches: bytes) -> bytes:
    """The sketch of all these sets together. Commutative and associative; equal sets give equal bytes."""
    different = set(sketches)
    if len(different) == 1:
        return different.pop()
    return _union(*map(compact_theta_sketch.deserialize, different))


def of(members: Collection[str]) -> bytes:
    """The sketch of these members."""
    if not members:
        return _EMPTY
    sketch = update_theta_sketch(LG_NOMINAL_ENTRIES)
    for member in members:
        sketch.update(member)
    return _written(sketch.compact())


def canonical(sketch: bytes) -> bytes:
    """The same sketch as this module would write it: equal sets are equal bytes, whoever made them."""
    return _written(compact_theta_sketch.deserialize(sketch))


def estimate(sketch: bytes) -> float:
    """How many distinct members."""
    size: float = compact_theta_sketch.deserialize(sketch).get_estimate()
    return size


def _written(sketch: compact_theta_sketch) -> bytes:
    if sketch.is_empty() or sketch.num_retained > 1 << LG_NOMINAL_ENTRIES:
        return _union(sketch)
    written: bytes = sketch.serialize()
    return written


def _union(*parts: compact_theta_sketch) -> bytes:
    union = theta_union(LG_NOMINAL_ENTRIES)
    for part in parts:
        union.update(part)
    united: bytes = union.get_result().serialize()
    return united


_EMPTY: Final = _union()
