"""Counting users by uniting the minute's theta sketches (Apache DataSketches).

The union of minutes is the sketch of the whole range, so unique users roll up to any window; the estimate is exact up
to 4,096 users and has a standard error of 1.6 % above.
"""

from collections.abc import Iterable
from typing import Final

from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

LG_K: Final = 12
"""Size of the sketches processing writes: 2^12 entries."""


def count_users(sketches: Iterable[bytes]) -> int:
    """How many distinct users the sketches saw together; sketches of nothing may be empty bytes."""
    union = theta_union(LG_K)
    for sketch in sketches:
        if sketch:
            union.update(compact_theta_sketch.deserialize(sketch))
    estimate: float = union.get_result().get_estimate()
    return round(estimate)


def sketch_of(users: Iterable[str]) -> bytes:
    """A sketch of these users, as if it had been united of smaller ones."""
    sketch = update_theta_sketch(LG_K)
    for user in users:
        sketch.update(user)
    made: bytes = sketch.compact().serialize()
    return made
