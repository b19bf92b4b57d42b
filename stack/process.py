"""Processes as the supervisor handles them: started in a group of their own, told apart for certain, stopped whole.

A part is not tied to the supervisor's life (`PR_SET_PDEATHSIG`): a `kill -9` of the supervisor must not become one of
the broker and the database. What it leaves behind is recorded and stopped by the next `up` or `down`.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.part import Launch


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from a later one with the same pid."""

    pid: int
    born: str
    """Boot and start time; two processes never share pid and this."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process with this pid now, or None."""
        born = _born(pid)
        return None if born is None else cls(pid, born)

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return _born(self.pid) == self.born


def _born(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists():
            return str(process.create_time())
        # On Linux wall-clock start times move with the clock; ticks since boot and the boot's id do not.
        ticks = stat.read_text("utf-8").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except (psutil.Error, OSError):
        return None
    return f"{boot}:{ticks}"


def start(launch: Launch, log: Path, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, its output appended to a log, its input empty."""
    account = launch.account
    with log.open("ab") as output:
        return subprocess.Popen(
            launch.command,
            env={**environ, **launch.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            cwd=launch.folder or "/",
        )


def stop(process: ProcessId, ask: signal.Signals, timeout_seconds: float) -> bool:
    """Ask a process to end, wait, then kill it and whatever of its group remains.

    Only the leader is asked: it knows the order in which its children go. Returns whether it ended by itself.
    """
    clean = True
    if process.is_alive():
        with suppress(ProcessLookupError):
            os.kill(process.pid, ask)
        clean = _wait(process, timeout_seconds)
        _kill_group(process.pid)
        _wait(process, 5.0)
    return clean


def reap_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill what a leader that ended left of its group (Spark's JVM, workers). The leader must not be waited for yet.

    While its zombie is there, nobody else can have got its number.
    """
    _kill_group(leader.pid)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _wait(process: ProcessId, timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while process.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
