"""The search for the highest rate: doubles, then closes in, and asks no more often than it must."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench_rate import Try, held_for_long, highest_rate
from loadtest.load.parts_use import parts_use

pytestmark = pytest.mark.unit


class Stack:
    """Holds every rate up to a limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    async def attempt(self, rate: float) -> Try:
        return Try(rate, rate <= self.limit, [], {})


@given(st.floats(300, 39_000))
async def test_the_rate_found_is_held_and_a_little_more_is_not(limit: float) -> None:
    found, tries = await highest_rate(Stack(limit).attempt, 1000, 40_000, 0.1)
    assert found is not None
    assert found <= limit < found * 1.1000001
    assert len(tries) < 12


async def test_a_stack_that_holds_everything_is_asked_no_more_than_the_highest() -> None:
    found, tries = await highest_rate(Stack(1e9).attempt, 1000, 5000, 0.1)
    assert found == 5000
    assert [each.rate for each in tries] == [1000, 2000, 4000, 5000]


async def test_a_stack_that_holds_nothing_is_given_up() -> None:
    found, tries = await highest_rate(Stack(0).attempt, 1000, 40_000, 0.1)
    assert found is None
    assert [each.rate for each in tries] == [1000, 500, 250, 125, 62.5]


@given(st.floats(1, 1500))
async def test_what_is_not_held_for_long_is_tried_lower_and_no_lower_than_the_least(limit: float) -> None:
    found, tries = await held_for_long(Stack(limit).attempt, 1000, 125, 0.2)
    assert [each.held for each in tries] == [False] * (len(tries) - 1) + [found is not None]
    assert (found is None) == (tries[-1].rate > limit)
    if found is None:
        assert tries[-1].rate < 125 * 1.2
    else:
        assert found <= min(limit, 1000) <= found * 1.2000001


async def test_what_a_part_uses_is_measured_by_its_processes(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(
        f'{{"parts":{{"us":{{"process":{{"pid":{os.getpid()}}}}},"gone":{{"process":null}}}}}}'
    )
    async with parts_use(tmp_path) as use:
        sum(number * number for number in range(2_000_000))
    figures = use.figures(events=1000)
    assert figures.keys() == {"us"}
    assert 0 < figures["us"]["cpu_seconds"] < 60
    assert figures["us"]["cpu_seconds_per_million_events"] == pytest.approx(figures["us"]["cpu_seconds"] * 1000, abs=51)
    assert figures["us"]["peak_mib"] > 10


async def test_without_a_stack_nothing_is_measured(tmp_path: Path) -> None:
    async with parts_use(tmp_path) as use:
        pass
    assert use.figures(events=1) == {}
