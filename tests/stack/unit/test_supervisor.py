"""The supervisor with small shell programs as parts: order, restarts, failures and a whole stop."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stack.layout import Layout
from stack.orphans import RUN_VARIABLE
from stack.part import Launch, Part, Probe, Report
from stack.process import ProcessId
from stack.settings import StackSettings
from stack.state import Phase, Stage, State, read_state
from stack.supervisor import Supervisor

pytestmark = pytest.mark.unit

SERVE = "trap 'echo bye; exit 0' TERM; touch $READY; while true; do sleep 0.05; done"


class Bench:
    """A home, its parts and a supervisor that runs in a thread."""

    def __init__(self, home: Path, **limits: float) -> None:
        self.layout = Layout(home)
        self.layout.logs.mkdir()
        self.settings = StackSettings(**{"stop_timeout_seconds": 5, "start_timeout_seconds": 5, **limits})  # type: ignore[arg-type]  # numbers all
        self.states: list[State] = []
        self.last: State | None = None

    def part(self, name: str, script: str = SERVE, *, needs: tuple[str, ...] = (), probe: Probe | None = None) -> Part:
        ready = self.layout.home / f"{name}.ready"

        def prepare(_: Report) -> Launch:
            ready.unlink(missing_ok=True)
            return Launch(("/bin/sh", "-c", script), {"READY": str(ready)})

        return Part(
            name=name,
            prepare=prepare,
            probe=probe or (lambda: None if ready.exists() else "no file yet"),
            needs=needs,
        )

    def start(self, *parts: Part, **more: Any) -> None:
        self.supervisor = Supervisor(parts, self.settings, self.layout, os.environ, self.states.append, **more)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.last = self.supervisor.run()

    def await_state(self, wanted: Callable[[State], bool]) -> State:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            state = read_state(self.layout.state)
            if state is not None and wanted(state):
                return state
            time.sleep(0.02)
        raise AssertionError(f"not reached: {read_state(self.layout.state)}")

    def finish(self) -> State:
        self.supervisor.stop()
        self.thread.join(20)
        assert self.last is not None
        return self.last

    def stages(self) -> list[tuple[str, Stage]]:
        """Every change of a part's stage, in order."""
        seen: dict[str, Stage] = {}
        changes = []
        for state in self.states:
            for part in state.parts.values():
                if seen.get(part.name) is not part.stage:
                    seen[part.name] = part.stage
                    changes.append((part.name, part.stage))
        return changes


def is_ready(state: State) -> bool:
    return state.phase is Phase.READY


def test_a_part_starts_after_what_it_needs_and_all_stop_in_reverse_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(bench.part("first"), bench.part("second", needs=("first",)))
    bench.await_state(is_ready)
    assert bench.finish().phase is Phase.STOPPED
    order = bench.stages()
    assert order.index(("first", Stage.READY)) < order.index(("second", Stage.STARTING))
    assert order.index(("second", Stage.STOPPED)) < order.index(("first", Stage.STOPPED))
    assert bench.layout.log("first").read_text() == "bye\n"


def test_a_part_that_dies_is_started_again_and_the_state_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(bench.part("one"))
    first = bench.await_state(is_ready).parts["one"].process
    assert first is not None
    os.kill(first.pid, 9)
    again = bench.await_state(lambda state: state.parts["one"].restarts == 1 and is_up(state)).parts["one"]
    assert again.process is not None
    assert again.process != first
    assert bench.finish().parts["one"].restarts == 1
    assert any("ended (signal 9), restart 1" in state.parts["one"].note for state in bench.states)


def test_a_part_that_is_not_ready_in_time_when_started_again_is_not_given_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, start_timeout_seconds=1, restart_limit=2)
    busy = threading.Event()
    ready = bench.layout.home / "one.ready"
    bench.start(bench.part("one", probe=lambda: None if ready.exists() and not busy.is_set() else "busy"))
    first = bench.await_state(is_ready).parts["one"].process
    assert first is not None
    busy.set()
    os.kill(first.pid, 9)
    late = bench.await_state(lambda state: "restart 2" in state.parts["one"].note).parts["one"]
    busy.clear()
    bench.await_state(lambda state: state.parts["one"].restarts == 2 and is_up(state))
    assert bench.finish().phase is Phase.STOPPED
    assert "was not ready within 1 s (exit code 0), restart 2" in {
        *(s.parts["one"].note for s in bench.states),
        late.note,
    }
    assert bench.layout.log("one").read_text().splitlines() == ["bye", "bye"]


@pytest.mark.parametrize("full", ["stack.supervisor.write_state", "stack.process.start"])
def test_a_disk_that_is_full_for_a_while_ends_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    bench = Bench(tmp_path, restart_pause_seconds=0.1)
    bench.start(bench.part("one"), bench.part("two"))
    first = bench.await_state(is_ready).parts["one"].process
    assert first is not None

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(full, no_space)
        os.kill(first.pid, 9)
        deadline = time.monotonic() + 10
        while bench.states[-1].parts["one"].restarts == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
    again = bench.await_state(lambda state: state.parts["one"].restarts == 1 and is_up(state)).parts["one"]
    assert again.process not in {first, None}
    assert bench.finish().phase is Phase.STOPPED


def test_what_goes_on_beside_begins_when_all_are_ready_and_ends_before_they_do(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    noted: list[tuple[Phase, bool]] = []

    @contextmanager
    def beside(environ: Mapping[str, str]) -> Iterator[None]:
        assert environ[RUN_VARIABLE] == bench.states[-1].run
        for moment in range(2):
            noted.append((bench.states[-1].phase, is_up(bench.states[-1])))
            if moment == 0:
                yield

    bench.start(bench.part("one"), beside=beside)
    bench.await_state(is_ready)
    bench.finish()
    assert noted == [(Phase.READY, True)] * 2


def is_up(state: State) -> bool:
    return all(part.stage is Stage.READY for part in state.parts.values())


def test_a_stopped_part_is_not_started_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(bench.part("one"))
    process = bench.await_state(is_ready).parts["one"].process
    last = bench.finish()
    assert last.parts["one"].restarts == 0
    assert process is not None
    assert not process.is_alive()


def test_a_part_that_keeps_dying_is_given_up_and_the_others_stay(tmp_path: Path) -> None:
    bench = Bench(tmp_path, restart_limit=2)
    bench.start(bench.part("steady"), bench.part("weak", "touch $READY; sleep 0.3; exit 3"))
    state = bench.await_state(lambda state: state.parts["weak"].stage is Stage.FAILED)
    assert "weak ended (exit code 3) after 2 restarts in ten minutes" in state.parts["weak"].note
    assert state.parts["steady"].stage is Stage.READY
    bench.finish()


def test_a_part_that_dies_before_it_is_ready_ends_the_start_with_its_last_lines(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(bench.part("good"), bench.part("bad", "echo the disk is on fire; exit 7", probe=lambda: "not yet"))
    bench.thread.join(20)
    assert bench.last is not None
    assert bench.last.phase is Phase.FAILED
    assert "bad ended (exit code 7) before it was ready" in bench.last.reason
    assert "the disk is on fire" in bench.last.reason
    assert bench.last.parts["good"].stage is Stage.STOPPED


def test_a_part_that_is_never_ready_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path, start_timeout_seconds=0.3)
    bench.start(bench.part("slow", probe=lambda: "warming up"))
    bench.thread.join(20)
    assert bench.last is not None
    assert "slow was not ready within 0.3 s" in bench.last.reason
    assert "warming up" in bench.last.reason


def test_a_failing_preparation_ends_the_start(tmp_path: Path) -> None:
    def prepare(_: Report) -> Launch:
        raise RuntimeError("a bug")

    bench = Bench(tmp_path)
    bench.start(bench.part("good"), Part(name="bad", prepare=prepare, probe=lambda: None))
    bench.thread.join(20)
    assert bench.last is not None
    assert bench.last.reason == "RuntimeError: a bug"


def test_a_part_that_does_not_listen_to_reason_is_killed_with_its_children(tmp_path: Path) -> None:
    bench = Bench(tmp_path, stop_timeout_seconds=0.3)
    script = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; touch $READY; while true; do sleep 0.05; done"
    bench.start(bench.part("deaf", script))
    process = bench.await_state(is_ready).parts["deaf"].process
    bench.finish()
    assert process is not None
    assert not process.is_alive()
    child, deadline = int((tmp_path / "child").read_text()), time.monotonic() + 10
    while ProcessId.of(child) is not None:  # a busy machine takes a moment to end whom it has killed
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stop_during_the_start_leaves_nothing_running(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(bench.part("one", probe=lambda: "never"), bench.part("two", needs=("one",)))
    process = bench.await_state(lambda state: state.parts["one"].stage is Stage.STARTING).parts["one"].process
    last = bench.finish()
    assert last.phase is Phase.STOPPED
    assert process is not None
    assert not process.is_alive()
    assert ("two", Stage.STARTING) not in bench.stages()
