"""Processes of tests as forks of one that has imported everything and done nothing: they start at once.

A server takes one to three seconds of the processor to import what it is made of, and a run starts dozens. End-to-end
tests start them as users do.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FORKED: Final = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        *("ingestion.__main__", "ingestion.server", "serving.__main__"),
        *("tests.processing.integration.line", "tests.processing.integration.test_crashes"),
    ]
)


class Fork:
    """`python -m module`, without arguments; used as a `subprocess.Popen`."""

    def __init__(self, module: str, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self._process: Any = FORKED.Process(target=_run, args=(module, dict(environment), folder, log))
        self._process.start()
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        """The exit code once it has ended; negative for a signal."""
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("a fork", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _run(module: str, environment: dict[str, str], folder: Path, log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.close(written)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
