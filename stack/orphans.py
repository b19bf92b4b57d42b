"""Processes that a killed supervisor left running, found by its record and stopped."""

import os
import signal
from collections.abc import Iterator, Mapping

import psutil

from stack.process import ProcessId, stop
from stack.state import State

RUN_VARIABLE = "MILLRACE_RUN"
"""Environment variable that marks every process of one supervisor's run, children of parts too."""


def stop_orphans(state: State, signals: Mapping[str, signal.Signals], timeout_seconds: float) -> list[str]:
    """Stop what an earlier run left, last started first; returns what was still there, in words.

    Only that run's own processes are touched: a recorded pid must have the recorded start time, and any other process
    must carry the run's name in its environment.
    """
    stopped = []
    for part in reversed(state.parts.values()):
        if part.process is not None and part.process.is_alive():
            stop(part.process, signals.get(part.name, signal.SIGTERM), timeout_seconds)
            stopped.append(part.name)
    rest = list(_processes_of(state.run))
    for process in rest:
        stop(process, signal.SIGKILL, timeout_seconds)
    return [*stopped, f"{len(rest)} of their children"] if rest else stopped


def _processes_of(run: str) -> Iterator[ProcessId]:
    """Everything that carries the run's name: also what moved to a session of its own, as Spark's JVM does."""
    for process in psutil.process_iter():
        try:
            marked = process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run
        except (psutil.Error, OSError):
            continue
        if marked and (identity := ProcessId.of(process.pid)) is not None:
            yield identity
