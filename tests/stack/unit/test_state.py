"""State and orphans: what is written is read back, and only what was recorded is ever stopped."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from stack.orphans import RUN_VARIABLE, stop_orphans
from stack.process import ProcessId
from stack.state import PartState, Phase, Stage, State, read_state, write_state

pytestmark = pytest.mark.unit

RUN = uuid.uuid4().hex


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    yield from _sleeper()


@pytest.fixture
def other_sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    yield from _sleeper()


def _sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True, env={**os.environ, RUN_VARIABLE: RUN})
    yield child
    child.kill()
    child.wait()


def identity(child: "subprocess.Popen[bytes]") -> ProcessId:
    found = ProcessId.of(child.pid)
    assert found is not None
    return found


def state_of(**processes: ProcessId | None) -> State:
    own = ProcessId.of(os.getpid())
    assert own is not None
    parts = {name: PartState(name, 1, Stage.READY, process) for name, process in processes.items()}
    return State(RUN, own, Phase.READY, "", parts)


def test_a_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    state = state_of(kafka=ProcessId(1, "boot:2"), serving=None)
    state = state.with_part(replace(state.parts["kafka"], since="2026-01-01T00:00:00+00:00", restarts=2, note="n"))
    write_state(tmp_path / "state.json", state)
    assert read_state(tmp_path / "state.json") == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 1}', '{"parts": {"a": {"stage": "odd"}}}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert read_state(tmp_path / "state.json") is None


def test_no_state_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path / "state.json") is None


def test_a_process_is_known_by_its_start_and_not_by_its_number(sleeper: "subprocess.Popen[bytes]") -> None:
    assert identity(sleeper).is_alive()
    assert not replace(identity(sleeper), born="an earlier boot:1").is_alive()


def test_a_process_that_ended_but_was_not_waited_for_is_not_alive(sleeper: "subprocess.Popen[bytes]") -> None:
    before = identity(sleeper)
    sleeper.kill()
    while before.is_alive():
        time.sleep(0.01)
    assert ProcessId.of(sleeper.pid) is None


def test_recorded_processes_are_stopped_last_started_first(
    sleeper: "subprocess.Popen[bytes]", other_sleeper: "subprocess.Popen[bytes]"
) -> None:
    state = state_of(kafka=identity(sleeper), postgres=None, serving=identity(other_sleeper))
    assert stop_orphans(state, {"kafka": signal.SIGINT}, 5) == ["serving", "kafka"]
    assert (sleeper.wait(), other_sleeper.wait()) == (-signal.SIGINT, -signal.SIGTERM)


def test_a_foreign_process_with_a_recorded_number_is_left_alone(sleeper: "subprocess.Popen[bytes]") -> None:
    reused = replace(identity(sleeper), born="boot:1")
    foreign = State("another run", state_of().supervisor, parts={"kafka": PartState("kafka", 1, process=reused)})
    assert stop_orphans(foreign, {}, 5) == []
    assert sleeper.poll() is None


def _family(run: str) -> tuple[ProcessId, int]:
    """A leader that ended and a child that lives on in a session of its own."""
    script = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL, start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "input()"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, RUN_VARIABLE: run},
    )
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    born = identity(leader)
    leader.kill()
    leader.communicate()
    return born, child


@pytest.mark.parametrize(("run", "alive"), [(RUN, False), ("another run", True)], ids=["its own run", "another run"])
def test_what_a_dead_leader_left_is_killed_only_if_it_carries_the_runs_name(run: str, alive: bool) -> None:
    leader, child = _family(run)
    try:
        assert stop_orphans(state_of(processing=leader), {}, 5) == ([] if alive else ["1 of their children"])
        assert (ProcessId.of(child) is not None) is alive
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
