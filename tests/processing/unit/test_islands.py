"""Islands of intervals: what one pass in order of time says, for any intervals of any keys in any order."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.islands import in_order_of_islands
from tests.examples import examples

pytestmark = pytest.mark.unit

GAP_MS = 10
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTERVALS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-60, 60), st.integers(0, 40)).map(
        lambda i: (i[0], i[1], i[1] + i[2])
    ),
    max_size=30,
)


def times(milliseconds: list[int]) -> pa.ChunkedArray:
    return pa.chunked_array([[EPOCH + timedelta(milliseconds=ms) for ms in milliseconds]], pa.timestamp("us", "UTC"))


@settings(deadline=None, max_examples=examples(100))
@given(INTERVALS)
def test_an_island_ends_where_nothing_begins_within_the_gap(intervals: list[tuple[str, int, int]]) -> None:
    keys = pa.chunked_array([[key for key, _, _ in intervals]], pa.string())
    order, island = in_order_of_islands(
        keys, times([start for _, start, _ in intervals]), times([end for _, _, end in intervals]), GAP_MS
    )
    assert sorted(order) == list(range(len(intervals)))
    found: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
    for place, number in zip(order, island, strict=True):
        found[number].append(intervals[place])
    wanted: list[list[tuple[str, int, int]]] = []
    for each in sorted(intervals):
        if wanted and wanted[-1][0][0] == each[0] and each[1] < max(end for _, _, end in wanted[-1]) + GAP_MS:
            wanted[-1].append(each)
        else:
            wanted.append([each])
    assert sorted(sorted(members) for members in found.values()) == wanted
    assert list(found) == list(range(len(wanted)))
