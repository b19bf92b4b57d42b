"""Processes that a killed supervisor left running, found by its record and stopped."""

import os
import signal
from collections.abc import Iterator, Mapping

import psutil

from stack.process import ProcessId, stop
from stack.state import State

RUN_VARIABLE = "MILLRACE_RUN"
"""Environment variable that marks every process of one supervisor's run."""


def stop_orphans(state: State, signals: Mapping[str, signal.Signals], timeout_seconds: float) -> list[str]:
    """Stop what an earlier run left, last started first; returns the names of the parts that were still there.

    Only recorded processes are touched: the pid must have the recorded start time, and a process of the group whose
    leader is gone must carry the run's name.
    """
    stopped = []
    for part in reversed(state.parts.values()):
        if part.process is None:
            continue
        found = list(_group_of(part.process, state.run))
        if part.process.is_alive():
            stop(part.process, signals.get(part.name, signal.SIGTERM), timeout_seconds)
            stopped.append(part.name)
        elif found:
            stopped.append(part.name)
        for process in found:
            stop(process, signal.SIGKILL, timeout_seconds)
    return stopped


def _group_of(leader: ProcessId, run: str) -> Iterator[ProcessId]:
    """Members of a leader's group, itself left out, that carry the run's name."""
    for process in psutil.process_iter():
        try:
            if process.pid == leader.pid or os.getpgid(process.pid) != leader.pid:
                continue
            if process.environ().get(RUN_VARIABLE) != run:
                continue
        except (psutil.Error, OSError):
            continue
        identity = ProcessId.of(process.pid)
        if identity is not None:
            yield identity
