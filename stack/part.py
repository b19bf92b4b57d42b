"""What the supervisor knows of a part: how to prepare it, run it and tell that it is ready."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.unprivileged import Account

Report = Callable[[str], None]
"""Told what a slow step is doing, for the person waiting."""

Probe = Callable[[], str | None]
"""None when the part is ready, else the reason why not. Called often; takes at most a second or two; never raises."""


@dataclass(frozen=True)
class Launch:
    """A process to start."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's environment."""
    account: Account | None = None
    """Run as this account instead of the supervisor's."""
    folder: Path | None = None
    """Working folder; what a process drops there without being asked belongs in the home."""


@dataclass(frozen=True)
class Part:
    """One process of the stack, as compose.yaml runs one container."""

    name: str
    prepare: Callable[[Report], Launch]
    """Makes what the part needs (downloads, folders) and says how to run it. May be slow; called before every start."""
    probe: Probe
    port: int | None = None
    """The port that its readers are told; None for a part without one."""
    listeners: Mapping[str, int] = field(default_factory=dict)
    """Every port that the part listens on, by the name of `stack.settings.PORT_OFFSETS`."""
    needs: tuple[str, ...] = ()
    """Parts that must be ready before this one starts."""
    complete: Callable[[], None] = lambda: None
    """Run once the probe says ready and before the part counts as ready; what the others rely on (topics, database)."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks the process to end cleanly."""
