"""Percentiles are values that occurred, by nearest rank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.latency import Latencies, percentile

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_of_a_hundred_values_the_percentile_is_the_value_itself(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_at_least_the_share_lies_at_or_below(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9


def test_a_summary_is_in_milliseconds_and_empty_without_values() -> None:
    latencies = Latencies()
    assert latencies.summary_ms() is None
    for value in (0.001, 0.003):
        latencies.add(value)
    assert latencies.summary_ms() == {"p50": 1.0, "p95": 3.0, "p99": 3.0, "max": 3.0, "mean": 2.0}


def test_a_run_without_end_keeps_the_newest() -> None:
    latencies = Latencies(limit=3)
    for value in range(5):
        latencies.add(float(value))
    assert sorted(latencies.values) == [2.0, 3.0, 4.0]
