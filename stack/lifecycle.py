"""Starting and stopping a home's stack, seen from outside: `up`, `up --detach` and `down`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from contracts.settings import PostgresSettings
from stack import logs, postgres
from stack.clerk import Clerk
from stack.errors import MachineError, PartFailedError
from stack.files import exclusive
from stack.layout import Layout
from stack.orphans import stop_orphans
from stack.part import Part
from stack.parts import postgres_reachable
from stack.preflight import check_disk, check_ports
from stack.settings import REPOSITORY, StackSettings
from stack.state import Phase, State, read_state
from stack.supervisor import Supervisor

Watch = Callable[[State], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """A home with its settings and all its parts: what every command works on."""

    settings: StackSettings
    layout: Layout
    parts: Mapping[str, Part]

    def running(self) -> State | None:
        """The state of the supervisor that runs now, if one does."""
        state = read_state(self.layout.state)
        return state if state is not None and state.is_supervised() else None


def supervise(stack: Stack, chosen: Sequence[Part], environ: Mapping[str, str], watch: Watch, say: Say) -> State:
    """Start the parts and stay until a signal; returns the last state. Raises StackError before anything is started."""
    settings, layout = stack.settings, stack.layout
    folders = {layout.home, settings.cache, (settings.postgres_folder or layout.postgres).parent}
    check_disk(sorted(folders), settings.minimum_free_disk_mb)
    with exclusive(layout.supervisor_lock, wait=False) as alone:
        if not alone:
            raise MachineError(f"Another `millrace up` has just started for {layout.home}.")
        _clear(stack, say)
        check_ports(chosen, settings.base_port)
        if (reason := postgres_reachable(settings)) is not None:
            raise MachineError(f"The Postgres of MILLRACE_STACK_POSTGRES_URL does not answer: {reason}.")
        layout.logs.mkdir(parents=True, exist_ok=True)
        supervisor = Supervisor(chosen, settings, layout, environ, watch, beside=_clerk(stack, chosen))
        supervisor.handle_signals()
        return supervisor.run()


def _clerk(stack: Stack, chosen: Sequence[Part]) -> Callable[[Mapping[str, str]], AbstractContextManager[None]]:
    """Whoever has requests done; nobody in a stack that cannot be asked for something."""

    def attending(environ: Mapping[str, str]) -> AbstractContextManager[None]:
        if "serving" not in {part.name for part in chosen}:
            return nullcontext()
        url, layout = postgres.url(stack.settings, stack.layout), stack.layout
        own = {**environ, "MILLRACE_HOME": str(layout.home)}
        return Clerk(url, PostgresSettings().db_schema, own, layout.log("requests")).attending()

    return attending


def supervise_detached(stack: Stack, arguments: Sequence[str], watch: Watch) -> State:
    """Start a supervisor of its own life; return once all is ready. Raises PartFailedError with the reason if not."""
    layout = stack.layout
    layout.logs.mkdir(parents=True, exist_ok=True)
    log = layout.log("supervisor")
    logs.rotate(log, stack.settings.log_max_mb * 2**20, stack.settings.log_keep)
    start = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        child = subprocess.Popen(
            (sys.executable, "-m", "stack", "up", "--quiet", *arguments),
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with _ended_unless_kept(child):
        while True:
            code = child.poll()
            state = read_state(layout.state)
            if state is not None and state.supervisor.pid == child.pid:
                watch(state)
                if state.phase is Phase.READY:
                    return state
            if code is not None:
                said = log.read_bytes()[start:].decode("utf-8", "replace").strip()
                raise PartFailedError(state.reason if state and state.phase is Phase.FAILED and state.reason else said)
            time.sleep(0.1)


@contextmanager
def _ended_unless_kept(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """A start that its reader gave up (Ctrl-C) is stopped, not left half-way."""
    try:
        yield
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        child.wait()
        raise


def bring_down(stack: Stack, say: Say) -> bool:
    """Stop the stack, or what a killed supervisor left of it; returns whether anything ran."""
    state = stack.running()
    if state is None:
        with exclusive(stack.layout.supervisor_lock):
            return _clear(stack, say)
    os.kill(state.supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + 10 + stack.settings.stop_timeout_seconds * len(state.parts)
    while state.supervisor.is_alive():
        if time.monotonic() > deadline:
            raise MachineError(f"The supervisor (pid {state.supervisor.pid}) does not stop.")
        time.sleep(0.1)
    return True


def _clear(stack: Stack, say: Say) -> bool:
    """Stop what an earlier supervisor left; the caller holds the home's lock, so none is at work."""
    state = read_state(stack.layout.state)
    if state is None:
        return False
    signals = {name: part.stop_signal for name, part in stack.parts.items()}
    stopped = stop_orphans(state, signals, stack.settings.stop_timeout_seconds)
    if stopped:
        say(f"Stopped what an earlier, killed start had left running: {', '.join(stopped)}.")
    return bool(stopped)
