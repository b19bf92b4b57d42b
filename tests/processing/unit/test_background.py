"""Turns of work beside the stream, with small commands in the place of the verbs."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from processing.background import Background, Told, Turn, is_failure

pytestmark = pytest.mark.unit

PYTHON = (sys.executable, "-c")


class Turns:
    """What was observed, and a wait for so much of it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, Told]] = []
        self._changed = threading.Condition()

    def of(self, name: str) -> Callable[[int, Told, float], None]:
        def observe(code: int, told: Told, seconds: float) -> None:
            assert seconds >= 0
            with self._changed:
                self.seen.append((name, code, told))
                self._changed.notify()

        return observe

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, 30)


def test_turns_come_round_and_tell_what_they_found() -> None:
    turns = Turns()
    program = "import sys; print('{\"rows\": 3}'); sys.exit(1)"
    background = Background([Turn((program,), 0.01, turns.of("a"))], PYTHON)
    background.start()
    turns.wait(2)
    background.stop()
    assert turns.seen[:2] == [("a", 1, {"rows": 3})] * 2


def test_there_is_one_at_a_time_and_the_one_that_is_due_first_comes_first() -> None:
    turns = Turns()
    background = Background(
        [Turn(("print('{}')",), 0.3, turns.of("later")), Turn(("print('{}') ",), 0.001, turns.of("sooner"))], PYTHON
    )
    background.start()
    turns.wait(1)
    background.stop()
    assert turns.seen[0][0] == "sooner"


def test_what_fails_is_told_and_the_next_turn_comes_all_the_same() -> None:
    turns = Turns()
    background = Background([Turn(("import sys; print('no JSON'); sys.exit(2)",), 0.01, turns.of("a"))], PYTHON)
    background.start()
    turns.wait(2)
    background.stop()
    assert turns.seen[:2] == [("a", 2, {})] * 2


def test_an_observer_that_fails_ends_nothing() -> None:
    turns, told = Turns(), list[int]()

    def fail(code: int, _told: Told, _seconds: float) -> None:
        told.append(code)
        if len(told) == 1:
            raise ZeroDivisionError
        turns.of("a")(code, {}, 0.0)

    background = Background([Turn(("pass",), 0.01, fail)], PYTHON)
    background.start()
    turns.wait(1)
    background.stop()
    assert len(told) >= 2


def test_work_that_never_comes_round_starts_nothing() -> None:
    background = Background([Turn(("raise SystemExit",), 0, Turns().of("a"))], PYTHON)
    background.start()
    assert not background._thread.is_alive()
    background.stop()


def test_a_stop_ends_the_work_under_way_and_nothing_is_told_of_it() -> None:
    turns = Turns()
    background = Background([Turn(("import time; time.sleep(600)",), 0.001, turns.of("a"))], PYTHON)
    background.start()
    deadline = time.monotonic() + 30
    while background._child is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    background.stop()
    background._thread.join(30)
    assert not background._thread.is_alive()
    assert background._child.poll() is not None
    assert turns.seen == []


@pytest.mark.parametrize(("code", "failed"), [(0, False), (1, False), (2, True), (-9, True)])
def test_a_difference_found_is_no_failure(code: int, failed: bool) -> None:
    assert is_failure(code) is failed


def first_turn(program: str) -> tuple[str, int, Told]:
    turns = Turns()
    background = Background([Turn((program,), 0.01, turns.of("a"))], PYTHON)
    background.start()
    turns.wait(1)
    background.stop()
    return turns.seen[0]


def test_a_turn_yields_to_everything_else_from_its_start() -> None:
    program = (
        "import os, time; ends = time.monotonic() + 10\n"
        "while os.getpriority(os.PRIO_PROCESS, 0) != 19 and time.monotonic() < ends: time.sleep(0.01)\n"
        "print(f'{{\"niceness\": {os.getpriority(os.PRIO_PROCESS, 0)}}}')"
    )
    assert first_turn(program) == ("a", 0, {"niceness": 19})


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="there are no autogroups to lower the share of")
def test_the_session_of_a_turn_yields_too() -> None:
    program = (
        "import pathlib, time; ends = time.monotonic() + 10; group = pathlib.Path('/proc/self/autogroup')\n"
        "while not group.read_text().endswith('nice 19\\n') and time.monotonic() < ends: time.sleep(0.01)\n"
        "print(f'{{\"niceness\": {group.read_text().split()[-1]}}}')"
    )
    assert first_turn(program) == ("a", 0, {"niceness": 19})
    assert not Path("/proc/self/autogroup").read_text("ascii").endswith("nice 19\n")
