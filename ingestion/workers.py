"""Several workers on one port: processes of their own, restarted when they die, stopped together.

Each listens on the same address with SO_REUSEPORT; the kernel spreads connections over them.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Final

import structlog

from ingestion.errors import StartRefusedError

_RESPAWN_SECONDS: Final = 0.5

_log = structlog.get_logger()


def check_port_is_free(host: str, port: int) -> None:
    """Refuse a port somebody listens on: with SO_REUSEPORT the workers themselves would share it silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartRefusedError(
                f"MILLRACE_GATEWAY_PORT: cannot listen on {host}:{port}: {error.strerror}"
            ) from error


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
    return subprocess.Popen([sys.executable, "-m", "ingestion", "--worker"], env=environment)


def _forget_gauges(folder: str, pid: int) -> None:
    """Counters of a dead worker stay in the sums; its gauges would lie."""
    for name in os.listdir(folder):
        if name.startswith("gauge_live") and name.endswith(f"_{pid}.db"):
            os.unlink(os.path.join(folder, name))
