"""The hand-over: in order, one at a time, one ahead, and nothing after a failure."""

import threading
import time
from collections.abc import Iterator

import pytest

from processing.handover import Handover

pytestmark = pytest.mark.unit

PATIENCE_SECONDS = 5.0


def nothing() -> None:
    """Work that is done at once."""


def fail() -> None:
    """Work that fails."""
    raise ZeroDivisionError


@pytest.fixture
def handover() -> Iterator[Handover]:
    handover = Handover()
    yield handover
    handover.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Work that waits for this ends with the test at the latest."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_work_is_done_in_order_by_another_thread(handover: Handover) -> None:
    done: list[tuple[int, int]] = []
    for number in range(50):
        handover.put(lambda number: done.append((number, threading.get_ident())), number)
    handover.close()
    assert [number for number, _ in done] == list(range(50))
    assert len({thread for _, thread in done}) == 1
    assert done[0][1] != threading.get_ident()


def test_putting_returns_while_the_work_is_under_way_and_waits_before_the_one_after_it(
    handover: Handover, gate: threading.Event
) -> None:
    def wait() -> None:
        gate.wait(PATIENCE_SECONDS)

    handover.put(wait)
    assert not handover.is_idle
    started, put = threading.Event(), threading.Event()

    def put_next() -> None:
        handover.put(started.set)
        put.set()

    thread = threading.Thread(target=put_next)
    thread.start()
    assert not put.wait(0.1)
    assert not started.is_set()
    gate.set()
    assert put.wait(PATIENCE_SECONDS)
    assert started.wait(PATIENCE_SECONDS)
    thread.join()


def test_it_is_idle_before_the_first_work_and_after_the_last(handover: Handover) -> None:
    assert handover.is_idle
    handover.put(nothing)
    handover.close()
    assert handover.is_idle
    assert handover.failure is None


def test_after_a_failure_nothing_more_is_done_and_it_can_be_asked_for(handover: Handover) -> None:
    done: list[str] = []
    handover.put(fail)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            handover.put(done.append, "after the failure")
    assert isinstance(handover.failure, ZeroDivisionError)
    assert handover.is_idle
    handover.close()
    assert done == []
    assert isinstance(handover.failure, ZeroDivisionError)


def test_a_failure_is_not_known_before_it_happened(handover: Handover, gate: threading.Event) -> None:
    def fail_later() -> None:
        gate.wait(PATIENCE_SECONDS)
        fail()

    handover.put(fail_later)
    assert handover.failure is None
    gate.set()
    handover.close()
    assert isinstance(handover.failure, ZeroDivisionError)


def test_closing_waits_for_the_work_under_way_and_takes_no_more(handover: Handover) -> None:
    done: list[int] = []

    def take_a_while() -> None:
        time.sleep(0.1)
        done.append(1)

    handover.put(take_a_while)
    handover.close()
    assert done == [1]
    with pytest.raises(RuntimeError):
        handover.put(done.append, 2)
    assert done == [1]


def test_works_put_from_several_threads_never_overlap(handover: Handover) -> None:
    under_way, most = 0, 0

    def work() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.001)
        under_way -= 1

    def put_ten() -> None:
        for _ in range(10):
            handover.put(work)

    threads = [threading.Thread(target=put_ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handover.close()
    assert most == 1
