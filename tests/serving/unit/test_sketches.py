"""A sketch made at once counts as one that was united of many does: history is counted as the tables are."""

import pytest

from serving.sketches import count_users, sketch_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 30_000])
def test_one_sketch_of_all_counts_as_many_of_some_do(size: int) -> None:
    users = [f"u-{number}" for number in range(size)]
    parts = [sketch_of(users[start : start + 2500]) for start in range(0, size, 1700)]
    at_once = count_users([sketch_of(users)])
    assert at_once == count_users(parts)
    assert at_once == size if size <= 4096 else abs(at_once - size) < 0.06 * size
