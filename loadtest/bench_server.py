"""A server of a bench's own: on a port that was free, waited for until it answers, ended with the block."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx
import psutil

from loadtest.bench_errors import BenchError

_START_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.1


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def answering(
    child: "subprocess.Popen[bytes]",
    ask: Callable[[], httpx.Response],
    failed: Callable[[], str],
    *,
    end_seconds: float = 30,
) -> Iterator[psutil.Process]:
    """The process, from its first answer with 200 on. Raises BenchError, with what `failed` says, where there is none.

    At the end it is asked to stop, and has so many seconds for it.
    """
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _is_answered(ask):
            if child.poll() is not None or time.monotonic() > deadline:
                raise BenchError(failed())
            time.sleep(_LOOK_SECONDS)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(end_seconds)


def _is_answered(ask: Callable[[], httpx.Response]) -> bool:
    try:
        return ask().status_code == 200
    except httpx.TransportError:
        return False
