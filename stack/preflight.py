"""What is checked before anything is started, so that the answer is a sentence and not a part's stack trace."""

import errno
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from contracts.ports import fault_of_listening
from stack.errors import MachineError, PortTakenError
from stack.part import Part
from stack.settings import HOST


def check_ports(parts: Iterable[Part], base_port: int) -> None:
    """Raise PortTakenError, naming port, part, holder and setting, if a listener of a part is taken."""
    for part in parts:
        for listener, port in part.listeners.items():
            if _is_taken(port):
                what = part.name if listener == part.name else f"{part.name} ({listener})"
                raise PortTakenError(
                    f"Port {port} is taken{_holder(port)}; {what} needs it. Stop that program, or move all ports of "
                    f"this stack with MILLRACE_STACK_BASE_PORT (now {base_port})."
                )


def _is_taken(port: int) -> bool:
    fault = fault_of_listening(HOST, port)
    return fault is not None and fault.errno == errno.EADDRINUSE


def _holder(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.pid
                and connection.laddr.port == port
            ):
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def check_disk(folders: Iterable[Path], minimum_mb: int) -> None:
    """Make the folders; raise MachineError where one cannot be written or has less than `minimum_mb` MiB free."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.write_bytes(b"")
            probe.unlink()
            free_mb = shutil.disk_usage(folder).free // 2**20
        except OSError as error:
            raise MachineError(
                f"{folder} cannot be written: {error.strerror}. Another home is MILLRACE_HOME."
            ) from error
        if free_mb < minimum_mb:
            raise MachineError(
                f"Only {free_mb} MiB are free under {folder}, and the stack wants {minimum_mb} MiB to start with. Make "
                "room, move it (MILLRACE_HOME, MILLRACE_STACK_CACHE) or lower MILLRACE_STACK_MINIMUM_FREE_DISK_MB."
            )
