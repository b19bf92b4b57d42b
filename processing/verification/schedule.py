"""Verification in the background: every so often a random hour or less, by a process of its own that yields to others.

A process and not a thread: making sketches of many users takes the interpreter's lock for as long as it lasts, and what
it takes of memory it gives back when it ends.
"""

import json
import subprocess
import sys
import threading
import time
from typing import Any, Final

import structlog

from processing.metrics import VerifyMetrics

log = structlog.get_logger()

_COMMAND: Final = (sys.executable, "-m", "processing", "verify", "--random", "--background", "--json")
_STOP_SECONDS: Final = 10.0


class VerifySchedule:
    """Verifies until it is stopped. What goes wrong with it is logged and counted, and stops nothing else."""

    def __init__(self, interval_seconds: float, metrics: VerifyMetrics) -> None:
        self._interval_seconds = interval_seconds
        self._metrics = metrics
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="verify", daemon=True)

    def start(self) -> None:
        """Begin to wait for the first turn; without an interval there is none."""
        if self._interval_seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """End the verification under way, if there is one."""
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            told, code = self._verify()
            if self._stopping.is_set():
                return
            outcome = {0: "equal", 1: "differs"}.get(code, "failed")
            self._metrics.observe(outcome, told, time.time())
            if outcome == "failed":
                log.warning("verification_failed", exit_code=code)
            elif outcome == "differs":
                log.error("verification_differs", **{name: told[name] for name in ("epoch", "from", "until", "tables")})

    def _verify(self) -> tuple[dict[str, Any], int]:
        """Run one verification; returns what it tells and its exit code."""
        self._child = subprocess.Popen(_COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603 - ours
        output, _ = self._child.communicate()
        try:
            return json.loads(output), self._child.returncode
        except ValueError:
            return {}, 2
