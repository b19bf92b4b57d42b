"""What a load measured: totals, points over time, and whether the generator was the limit."""

import time

import pytest

from loadtest.load.results import SLICE_SECONDS, Results, limits

pytestmark = pytest.mark.unit


def _results() -> Results:
    return Results(time.perf_counter() - 60)


def test_latency_counts_from_the_intended_time_and_errors_by_kind() -> None:
    results = _results()
    began = results.began
    results.done("Json", began + 1.0, began + 1.5, events=1)
    results.done("Json", began + 2.0, began + 2.1, problem="status 503")
    figures = results.figures()
    assert figures["events"] == 1
    assert figures["latency_ms"]["Json"]["max"] == pytest.approx(500)
    assert figures["errors"] == {"Json: status 503": 1}


def test_points_over_time_lie_in_the_slice_of_the_answer() -> None:
    results = _results()
    for second in (0.5, SLICE_SECONDS - 0.1, SLICE_SECONDS + 0.1):
        results.done("Json", results.began + second, results.began + second, events=10)
    points = results.figures()["over_time"]
    assert [point["from_second"] for point in points] == [0, SLICE_SECONDS]
    assert [point["events_per_second"] for point in points] == [20 / SLICE_SECONDS, 10 / SLICE_SECONDS]


FINE = {"generator": {"cores": 0.3, "wake_up_ms": {"p99": 5.0}}, "held_up": {"Json": 0.01}}


def test_a_generator_with_time_to_spare_says_nothing() -> None:
    assert limits(FINE) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"generator": {"cores": 0.95, "wake_up_ms": {"p99": 5.0}}}, "0.95 cores of the one"),
        ({"generator": {"cores": 0.3, "wake_up_ms": {"p99": 80.0}}}, "80 ms late"),
        ({"held_up": {"Json": 0.2}}, "20% of Json's requests left late"),
    ],
)
def test_a_generator_at_its_limit_says_so(changed: dict[str, object], sentence: str) -> None:
    (told,) = limits({**FINE, **changed})
    assert sentence in told


def test_requests_that_nothing_held_up_show_how_late_the_generator_woke() -> None:
    results = _results()
    results.left("Json", time.perf_counter() - 0.2, waited=True)
    results.left("Json", time.perf_counter() - 9.0, waited=False)
    results.done("Json", results.began, results.began)
    figures = results.figures()
    assert 200 <= figures["generator"]["wake_up_ms"]["max"] < 5000
    assert figures["held_up"] == {"Json": 1.0}
