"""Paths: put together in order and cut, and how far each gets in the funnel."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.paths import funnel_times, joined
from tests.examples import examples

pytestmark = pytest.mark.unit

FUNNEL = {"viewed_at": ("page_view", "view"), "added_at": ("add_to_cart",), "bought_at": ("purchase",)}
ACTIONS = ("page_view", "view", "viewed", "add_to_cart", "search", "purchase")
STEPS = st.tuples(st.integers(0, 30), st.sampled_from(ACTIONS))
PATHS = st.lists(st.lists(STEPS, max_size=8), max_size=6)


def text(ms: int, action: str) -> str:
    return f'["{ms:015d}","{action}","ü \\"view\\"",null,null]'


def lists(paths: list[list[tuple[int, str]]]) -> pa.ChunkedArray:
    """In two chunks, as of a table of rows that are there and of a delta."""
    texts = [sorted(text(*step) for step in path) for path in paths]
    return pa.chunked_array([texts[:2], texts[2:]], pa.list_(pa.string()))


@settings(deadline=None, max_examples=examples(100))
@given(PATHS, st.data())
def test_paths_of_one_owner_are_one_path_in_order(paths: list[list[tuple[int, str]]], data: st.DataObject) -> None:
    owners = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(paths), max_size=len(paths))))
    found = joined(lists(paths), np.array(owners, np.int64), 4, 5).to_pylist()
    of_each = [
        [step for path, owner in zip(paths, owners, strict=True) if owner == n for step in path] for n in range(4)
    ]
    assert found == [sorted(text(*step) for step in steps)[:5] for steps in of_each]


@settings(deadline=None, max_examples=examples(100))
@given(PATHS)
def test_a_step_of_the_funnel_is_the_first_that_reaches_it_after_the_one_ahead(
    paths: list[list[tuple[int, str]]],
) -> None:
    found = funnel_times(lists(paths), FUNNEL)
    for number, path in enumerate(paths):
        since: int | None = 0
        for name, actions in FUNNEL.items():
            reached = [ms for ms, action in path if action in actions and since is not None and ms >= since]
            since = min(reached, default=None)
            wanted = None if since is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=since)
            assert found[name][number].as_py() == wanted
