"""Theta sketches as sets: union's laws to the byte, below and above the 4,096 members that are counted exactly."""

from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import sketches

pytestmark = pytest.mark.unit

# A range of users is a set of any size that is cheap to draw and overlaps with others: [start, start + size).
SETS = st.tuples(st.integers(0, 9_000), st.sampled_from((0, 1, 2, 50, 3_000, 4_096, 4_097, 5_000, 9_000, 20_000))).map(
    lambda span: frozenset(f"user-{number}" for number in range(span[0], span[0] + span[1]))
)
LAWS = settings(max_examples=40, deadline=None)


@LAWS
@given(SETS, SETS)
def test_the_union_of_sketches_is_the_sketch_of_the_union(left: frozenset[str], right: frozenset[str]) -> None:
    assert sketches.unite(sketches.of(left), sketches.of(right)) == sketches.of(left | right)


@LAWS
@given(SETS, SETS)
def test_union_is_commutative(left: frozenset[str], right: frozenset[str]) -> None:
    one, other = sketches.of(left), sketches.of(right)
    assert sketches.unite(one, other) == sketches.unite(other, one)


@LAWS
@given(SETS, SETS, SETS)
def test_union_is_associative(first: frozenset[str], second: frozenset[str], third: frozenset[str]) -> None:
    a, b, c = sketches.of(first), sketches.of(second), sketches.of(third)
    assert sketches.unite(sketches.unite(a, b), c) == sketches.unite(a, sketches.unite(b, c))


@LAWS
@given(st.lists(SETS, min_size=1, max_size=6))
def test_a_union_of_many_is_one_of_two_after_another(sets: list[frozenset[str]]) -> None:
    many = [sketches.of(members) for members in sets]
    assert sketches.unite(*many) == reduce(sketches.unite, many) == sketches.of(frozenset().union(*sets))


@LAWS
@given(SETS)
def test_union_is_idempotent_and_the_empty_set_is_its_neutral_element(members: frozenset[str]) -> None:
    sketch = sketches.of(members)
    assert sketches.unite(sketch, sketch) == sketch
    assert sketches.unite(sketch, sketches.of(())) == sketch
    assert sketches.canonical(sketch) == sketch


@LAWS
@given(st.sets(st.text(min_size=1), max_size=50), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_members_shows(members: set[str], random: object) -> None:
    shuffled = sorted([*members, *members], key=lambda _: random.random())  # type: ignore[attr-defined]  # loosely typed
    assert sketches.of(shuffled) == sketches.of(members)


@pytest.mark.parametrize("size", [0, 1, 4_095, 4_096])
def test_up_to_4096_members_the_count_is_exact(size: int) -> None:
    assert sketches.estimate(sketches.of([*map(str, range(size))])) == size


@pytest.mark.parametrize("size", [4_097, 20_000, 100_000])
def test_above_the_count_is_within_four_standard_errors(size: int) -> None:
    assert sketches.estimate(sketches.of([*map(str, range(size))])) == pytest.approx(size, rel=4 * 0.016)
