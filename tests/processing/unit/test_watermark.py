"""The watermark's laws: it never goes back, silence of one partition does not hold it, order does not matter."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.watermark import PartitionTimes, observe, watermark
from tests.processing.builders import START_MS, at

pytestmark = pytest.mark.unit

LATENESS = timedelta(minutes=5)
IDLE = timedelta(seconds=60)

Seen = tuple[str, int, int, int]
"""Topic, partition, event ms, broker ms."""


def seen(*rows: Seen) -> pa.Table:
    return pa.table(
        {
            "topic": pa.array([row[0] for row in rows], pa.string()),
            "partition": pa.array([row[1] for row in rows], pa.int32()),
            "timestamp": pa.array([at(row[2]) for row in rows], pa.timestamp("us", "UTC")),
            "log_time": pa.array([at(row[3]) for row in rows], pa.timestamp("us", "UTC")),
        }
    )


def mark(times: PartitionTimes, previous: datetime | None = None) -> datetime | None:
    return watermark(times, previous, allowed_lateness=LATENESS, idle=IDLE)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(("clickstream", "transactions")),
        st.integers(0, 1),
        st.integers(START_MS, START_MS + 600_000),
        st.integers(START_MS, START_MS + 600_000),
    ),
    max_size=12,
)


def test_before_any_event_there_is_no_watermark() -> None:
    assert mark({}) is None
    assert mark(observe({}, seen())) is None


def test_it_trails_the_slowest_partition_by_the_allowed_lateness() -> None:
    times = observe({}, seen(("clickstream", 0, 60_000, 0), ("clickstream", 1, 90_000, 0), ("clickstream", 0, 5, 0)))
    assert times == {"clickstream-0": (60_000, 0), "clickstream-1": (90_000, 0)}
    assert mark(times) == at(60_000) - LATENESS


@pytest.mark.parametrize(
    ("silent_ms", "slowest_ms"),
    [(59_999, 1_000), (60_000, 1_000), (60_001, 90_000)],
    ids=["just under the idle time", "exactly the idle time", "just over the idle time"],
)
def test_a_partition_silent_for_longer_than_the_idle_time_no_longer_holds_it_back(
    silent_ms: int, slowest_ms: int
) -> None:
    times = {"clickstream-0": (1_000, START_MS), "clickstream-1": (90_000, START_MS + silent_ms)}
    assert mark(times) == at(slowest_ms) - LATENESS


def test_silence_of_all_partitions_moves_nothing() -> None:
    times = observe({}, seen(("clickstream", 0, 1_000, 0), ("clickstream", 1, 2_000, 0)))
    before = mark(times)
    assert mark(observe(times, seen()), before) == before


def test_a_partition_that_wakes_up_behind_does_not_take_it_back() -> None:
    before = mark({"clickstream-0": (START_MS, START_MS)})
    woken = {"clickstream-0": (START_MS, START_MS), "clickstream-1": (1_000, START_MS)}
    assert mark(woken, before) == before


@given(st.lists(ROWS, max_size=6))
def test_it_never_goes_back(epochs: list[list[Seen]]) -> None:
    times: PartitionTimes = {}
    before = None
    for rows in epochs:
        times = observe(times, seen(*rows))
        after = mark(times, before)
        assert before is None or (after is not None and after >= before)
        before = after


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 12))
def test_what_has_been_observed_does_not_depend_on_order_or_epochs(rows: list[Seen], random: object, cut: int) -> None:
    shuffled = sorted(rows, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis types it loosely
    split = observe(observe({}, seen(*shuffled[:cut])), seen(*shuffled[cut:]))
    assert split == observe({}, seen(*rows))
