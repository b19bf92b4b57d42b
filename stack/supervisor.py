"""Starts the parts, keeps them, and stops them in reverse order. One per home."""

import os
import signal
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import FrameType

from stack.keeper import Keeper
from stack.layout import Layout
from stack.orphans import RUN_VARIABLE
from stack.part import Part
from stack.process import ProcessId
from stack.settings import StackSettings
from stack.state import PartState, Phase, State, write_state

_WRITE_AGAIN_SECONDS = 1.0


class Supervisor:
    """One run of the stack. `run` blocks until a signal or `stop`; the caller holds the home's lock."""

    def __init__(
        self,
        parts: Sequence[Part],
        settings: StackSettings,
        layout: Layout,
        environ: Mapping[str, str],
        on_change: Callable[[State], None],
        *,
        beside: Callable[[Mapping[str, str]], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """`beside` is what goes on while all parts are ready, given the environment of this run's processes."""
        own = ProcessId.of(os.getpid())
        assert own is not None
        states = {part.name: PartState(part.name, part.port) for part in parts}
        self._state = State(run=uuid.uuid4().hex, supervisor=own, parts=states)
        self._layout = layout
        self._on_change = on_change
        self._is_written = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._keepers: dict[str, Keeper] = {}
        marked = {**environ, RUN_VARIABLE: self._state.run}
        self._beside = beside(marked)
        for part in parts:
            needs = [self._keepers[name] for name in part.needs if name in self._keepers]
            self._keepers[part.name] = Keeper(
                part, needs, settings=settings, layout=layout, environ=marked, publish=self._publish
            )

    def run(self) -> State:
        """Start all parts, keep them until told to stop, stop them; returns the last state."""
        self._change(phase=Phase.STARTING)
        for keeper in self._keepers.values():
            keeper.start()
        failure = self._await_settled()
        if failure is None and not self._stop.is_set():
            self._change(phase=Phase.READY)
            with self._beside:
                while not self._stop.wait(_WRITE_AGAIN_SECONDS):
                    self._write_again()
        self._stop_all(failure)
        return self._state

    def stop(self, *_: int | FrameType | None) -> None:
        """Ask `run` to stop everything and return. Also fit to be a signal handler."""
        self._stop.set()

    def handle_signals(self) -> None:
        """Stop at Ctrl-C, at SIGTERM and when the terminal goes away."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stop)

    def _await_settled(self) -> str | None:
        """Wait until all parts were ready once; the first failure ends the wait."""
        waiting = dict(self._keepers)
        while waiting and not self._stop.wait(0.05):
            for name, keeper in list(waiting.items()):
                if keeper.settled.is_set():
                    if keeper.failure is not None:
                        return keeper.failure
                    del waiting[name]
        return None

    def _stop_all(self, failure: str | None) -> None:
        self._change(phase=Phase.STOPPING, reason=failure or "")
        for keeper in reversed(self._keepers.values()):
            keeper.stop()
        self._change(phase=Phase.STOPPED if failure is None else Phase.FAILED)

    def _publish(self, part: PartState) -> None:
        with self._lock:
            self._set(self._state.with_part(part))

    def _change(self, *, phase: Phase, reason: str | None = None) -> None:
        with self._lock:
            self._set(replace(self._state, phase=phase, reason=self._state.reason if reason is None else reason))

    def _set(self, state: State) -> None:
        self._state = state
        self._write()
        self._on_change(state)

    def _write(self) -> None:
        """Where the disk is full the file says what was before: that must not end the keeping of the parts."""
        try:
            write_state(self._layout.state, self._state)
            self._is_written = True
        except OSError:
            self._is_written = False

    def _write_again(self) -> None:
        with self._lock:
            if not self._is_written:
                self._write()
