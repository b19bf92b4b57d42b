"""A Redis or Valkey of one's own, on a free port of loopback. Whichever is on the PATH will do; CI has one."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")

needs_redis = pytest.mark.skipif(PROGRAM is None, reason="needs a Valkey or Redis on the PATH; CI has one")


@dataclass
class RedisServer:
    """The server; it can be frozen, killed and started again."""

    port: int
    password: str
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """From nothing to answering."""
        assert PROGRAM is not None
        words = f"--port {self.port} --bind 127.0.0.1 --requirepass {self.password} --appendonly no --daemonize no"
        self.process = subprocess.Popen([PROGRAM, *words.split(), "--save", ""], stdout=subprocess.DEVNULL, cwd="/")
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.02)
            else:
                return

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def stop(self) -> None:
        """It is gone."""
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@contextmanager
def redis_server(port: int) -> Iterator[RedisServer]:
    """One that runs from here to the end."""
    server = RedisServer(port, "s3cret-word")
    server.start()
    try:
        yield server
    finally:
        server.stop()
