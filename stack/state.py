"""What runs: the state that the supervisor writes and every other command reads."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from stack.files import write_atomically
from stack.process import ProcessId


class Stage(StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    FAILED = "failed"


class Phase(StrEnum):
    """Where the stack as a whole is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class PartState:
    """A part as the supervisor last saw it."""

    name: str
    port: int | None
    stage: Stage = Stage.WAITING
    process: ProcessId | None = None
    since: str | None = None
    """When the process was started, ISO 8601 UTC."""
    restarts: int = 0
    note: str = ""
    """What it is doing, or why it is not ready, for the reader."""


@dataclass(frozen=True)
class State:
    """One supervisor's run. Immutable; every change makes a new one."""

    run: str
    """Random name of the run; every process of it has it in its environment as `MILLRACE_RUN`."""
    supervisor: ProcessId
    phase: Phase = Phase.STARTING
    reason: str = ""
    """Why it failed."""
    parts: dict[str, PartState] = field(default_factory=dict)
    """In starting order."""

    def with_part(self, part: PartState) -> "State":
        """The state with one part replaced."""
        return replace(self, parts={**self.parts, part.name: part})

    def is_supervised(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor.is_alive()


def write_state(path: Path, state: State) -> None:
    """Write the state; a reader never sees half of it."""
    write_atomically(path, json.dumps(asdict(state), indent=2) + "\n")


def read_state(path: Path) -> State | None:
    """The state last written; None if there is none that can be read (no stack was ever started here)."""
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        told = json.loads(path.read_text("utf-8"))
        parts = {
            name: PartState(**{**part, "stage": Stage(part["stage"]), "process": _process(part["process"])})
            for name, part in told.pop("parts").items()
        }
        supervisor = ProcessId(**told.pop("supervisor"))
        return State(**{**told, "phase": Phase(told["phase"])}, supervisor=supervisor, parts=parts)
    return None


def _process(told: dict[str, object] | None) -> ProcessId | None:
    return None if told is None else ProcessId(int(str(told["pid"])), str(told["born"]))
