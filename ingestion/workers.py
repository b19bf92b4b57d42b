"""Several workers on one port: processes of their own, restarted when they die, stopped together.

Each listens on the same address with SO_REUSEPORT; the kernel spreads connections over them. Each reads a pipe whose
other end only this process holds: when it is killed, its workers know at once, by the end of the pipe, and stop.
"""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Final

import structlog

from contracts.ports import fault_of_listening
from ingestion.errors import StartRefusedError

_RESPAWN_SECONDS: Final = 0.5
_PREDECESSOR_SECONDS: Final = 5
"""How long workers of a gateway that was killed may keep the port beyond their time to drain."""
_LOOK_SECONDS: Final = 0.1

_log = structlog.get_logger()


def await_port(host: str, port: int, drain_seconds: float) -> None:
    """Wait for workers of a killed gateway to leave the port. Raises StartRefusedError if somebody goes on listening.

    With SO_REUSEPORT our own workers would share the port with anybody's, silently.
    """
    deadline = time.monotonic() + drain_seconds + _PREDECESSOR_SECONDS
    while fault := fault_of_listening(host, port):
        if fault.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            raise StartRefusedError(f"MILLRACE_GATEWAY_PORT: cannot listen on {host}:{port}: {fault.strerror}")
        time.sleep(_LOOK_SECONDS)


def supervise(count: int) -> int:
    """Run `count` workers until SIGTERM or SIGINT; returns the exit code."""
    stopping = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory(prefix="millrace-gateway-metrics-") as folder:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder}
        workers = [_spawn(environment) for _ in range(count)]
        while not stopping.wait(_RESPAWN_SECONDS):
            for place, worker in enumerate(workers):
                if worker.poll() is not None:
                    _log.error("worker_died", pid=worker.pid, code=worker.returncode)
                    if worker.returncode == 2:  # it cannot start: neither will the next one
                        stopping.set()
                        break
                    _forget_gauges(folder, worker.pid)
                    workers[place] = _spawn(environment)
        for worker in workers:
            worker.terminate()
        codes = [worker.wait() for worker in workers]
    return max(codes)


def _spawn(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "ingestion", "--worker"], env=environment, stdin=subprocess.PIPE)


def _forget_gauges(folder: str, pid: int) -> None:
    """Counters of a dead worker stay in the sums; its gauges would lie."""
    for name in os.listdir(folder):
        if name.startswith("gauge_live") and name.endswith(f"_{pid}.db"):
            os.unlink(os.path.join(folder, name))
