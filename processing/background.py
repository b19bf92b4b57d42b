"""Work beside the stream, every so often: each turn is a process of its own that yields to everything else.

A process and not a thread: such work takes the interpreter's lock for long, and what it takes of memory it gives back
when it ends. There is one at a time. What goes wrong with it is logged and counted, and stops nothing else. One whose
part is killed goes on to its end.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeAlias

import structlog

log = structlog.get_logger()

_STOP_SECONDS: Final = 10.0
_LAST_IN_LINE: Final = 19
"""Niceness of who gets the time that nobody else wants."""
_RUN: Final = (sys.executable, "-m", "processing")

Told: TypeAlias = dict[str, Any]
"""The JSON object that the verb has printed; empty where it has printed none."""


@dataclass(frozen=True)
class Turn:
    """Work that comes round. `verb` is a verb of `python -m processing` with its options."""

    verb: tuple[str, ...]
    every_seconds: float
    """From the end of one turn to the beginning of the next; 0 for never."""
    observe: Callable[[int, Told, float], None]
    """Called with the exit code, what was told and how many seconds it took, after each turn."""

    @property
    def name(self) -> str:
        return self.verb[0]


class Background:
    """Takes turns until it is stopped."""

    def __init__(self, turns: Sequence[Turn], command: tuple[str, ...] = _RUN) -> None:
        self._turns = [turn for turn in turns if turn.every_seconds > 0]
        self._command = command
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Begin to wait for the first turn."""
        if self._turns:
            self._thread.start()

    def stop(self) -> None:
        """End the work under way, if there is any. Whatever it is, it can be ended anywhere."""
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def _run(self) -> None:
        due_at = {turn: monotonic() + turn.every_seconds for turn in self._turns}
        while True:
            turn = min(due_at, key=due_at.__getitem__)
            if self._stopping.wait(max(0.0, due_at[turn] - monotonic())):
                return
            try:
                self._take(turn)
            except Exception as error:
                log.warning("background_failed", verb=turn.name, error=f"{type(error).__name__}: {error}"[:1000])
            due_at[turn] = monotonic() + turn.every_seconds

    def _take(self, turn: Turn) -> None:
        command = (*self._command, *turn.verb)
        begun = monotonic()
        self._child = subprocess.Popen(  # noqa: S603 - ours
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        yield_to_others(self._child.pid)  # from its start: to import takes it seconds
        if self._stopping.is_set():  # since before there was a child to stop
            self._child.terminate()
        output, _ = self._child.communicate()
        code = self._child.returncode
        if self._stopping.is_set():
            return
        try:
            told: Told = json.loads(output)
        except ValueError:
            told = {}
        if is_failure(code):
            log.warning("background_failed", verb=turn.name, exit_code=code)
        turn.observe(code, told, monotonic() - begun)


def yield_to_others(pid: int = 0) -> None:
    """Give a process, or this one, the processor only when nobody else wants it.

    Linux shares processors among sessions first, and looks at niceness only within one (sched(7), autogroups): of a
    session of its own the share is lowered, too. Work within the session of a part would take the share of that part
    whenever it waits, and what it waits for with it.
    """
    os.setpriority(os.PRIO_PROCESS, pid, _LAST_IN_LINE)
    process = pid or os.getpid()
    with suppress(OSError):  # a system without autogroups, or a process that has ended
        if os.getsid(process) == process:
            Path(f"/proc/{process}/autogroup").write_text(str(_LAST_IN_LINE), "ascii")


def is_failure(code: int) -> bool:
    """Whether an exit code says that nothing was found out. A verb that compares says 1 where things differ."""
    return code not in (0, 1)
