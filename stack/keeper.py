"""One part's life, told by one thread: prepare, wait, start, ready, and again if it dies."""

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from stack import logs, process
from stack.errors import PartFailedError, StackError
from stack.layout import Layout
from stack.part import Launch, Part
from stack.settings import StackSettings
from stack.state import PartState, Stage

_POLL_SECONDS = 0.1
_RESTART_WINDOW_SECONDS = 600.0
_LAST_LINES = 20


class Keeper(threading.Thread):
    """Keeps one part running until it is told to stop.

    `settled` is set once the part was ready for the first time or has failed for good; `failure` tells which. A part
    that dies or takes too long before it was ever ready has failed; one that does so later is started again, at growing
    intervals, at most `restart_limit` times in ten minutes.
    """

    def __init__(
        self,
        part: Part,
        needs: list["Keeper"],
        *,
        settings: StackSettings,
        layout: Layout,
        environ: Mapping[str, str],
        publish: Callable[[PartState], None],
    ) -> None:
        super().__init__(name=part.name, daemon=True)
        self.part = part
        self.settled = threading.Event()
        self.failure: str | None = None
        self._needs = needs
        self._settings = settings
        self._log = layout.log(part.name)
        self._environ = environ
        self._publish = publish
        self._state = PartState(part.name, part.port)
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Thread body: never raises; a failure is published."""
        try:
            self._keep()
        except StackError as error:
            self._fail(str(error))
        except Exception as error:  # a bug in a part's preparation must not leave the others waiting for ever
            self._fail(f"{type(error).__name__}: {error}")

    def stop(self) -> None:
        """Stop the part and see it gone: ask, wait, kill. Called from another thread, once or more."""
        self._stopping.set()
        with self._starting:
            child = self._child
        if child is not None:
            self._end()
            if self.is_alive():
                self.join()
            if child.returncode is None:
                self._bury()
        if self._state.stage is not Stage.FAILED:
            self._tell(stage=Stage.STOPPED, process=None, note="")

    def _keep(self) -> None:
        deaths: deque[float] = deque(maxlen=self._settings.restart_limit + 1)
        self._tell(stage=Stage.PREPARING)
        launch = self.part.prepare(lambda note: self._tell(note=note))
        running = self._await_needs() and self._start(launch)
        while running:
            how = self._await_ready()
            if how is None:
                self.part.complete()
                self._tell(stage=Stage.READY, note="")
                self.settled.set()
                self._await_death()
                how = "ended"
            if self._stopping.is_set():
                return
            how = f"{how} ({self._bury()})"
            if not self.settled.is_set():
                raise PartFailedError(f"{self.part.name} {how} before it was ready.{self._last_lines()}")
            deaths.append(time.monotonic())
            if len(deaths) > self._settings.restart_limit and deaths[-1] - deaths[0] < _RESTART_WINDOW_SECONDS:
                raise PartFailedError(
                    f"{self.part.name} {how} after {len(deaths) - 1} restarts in ten minutes and was given "
                    f"up; `millrace logs {self.part.name}` tells more."
                )
            recent = sum(1 for death in deaths if deaths[-1] - death < _RESTART_WINDOW_SECONDS)
            pause = min(0.25 * 2 ** (recent - 1), self._settings.restart_pause_seconds)
            note = f"{how}, restart {self._state.restarts + 1}"
            self._tell(stage=Stage.RESTARTING, process=None, restarts=self._state.restarts + 1, note=note)
            running = not self._stopping.wait(pause) and self._start_again()

    def _await_needs(self) -> bool:
        names = ", ".join(keeper.part.name for keeper in self._needs)
        self._tell(stage=Stage.WAITING, note=f"for {names}" if names else "")
        for keeper in self._needs:
            while not keeper.settled.wait(_POLL_SECONDS):
                if self._stopping.is_set():
                    return False
            if keeper.failure is not None:
                return False
        return not self._stopping.is_set()

    def _start(self, launch: Launch) -> bool:
        """Start the process, unless the part was told to stop; the lock keeps `stop` from missing it."""
        with self._starting:
            if self._stopping.is_set():
                return False
            logs.rotate(self._log, self._settings.log_max_mb * 2**20, self._settings.log_keep)
            self._child = process.start(launch, self._log, self._environ)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            identity = process.ProcessId.of(self._child.pid)
            self._tell(stage=Stage.STARTING, process=identity, since=since, note="")
        return True

    def _start_again(self) -> bool:
        """Prepare and start it as at first. What stands against it now, such as a full disk, may pass."""
        while True:
            try:
                return self._start(self.part.prepare(lambda note: self._tell(note=note)))
            except OSError as error:
                self._tell(note=str(error))
                if self._stopping.wait(self._settings.restart_pause_seconds):
                    return False

    def _await_ready(self) -> str | None:
        """Wait until the probe says ready; else what became of it, in words.

        What takes too long at first fails; later it is ended and counts as dead: the machine may be less busy then.
        """
        started = time.monotonic()
        while not self._has_ended():
            reason = self.part.probe()
            if reason is None:
                return "ended" if self._has_ended() else None
            if time.monotonic() - started > self._settings.start_timeout_seconds:
                late = f"was not ready within {self._settings.start_timeout_seconds:g} s"
                if not self.settled.is_set():
                    raise PartFailedError(
                        f"{self.part.name} {late} (MILLRACE_STACK_START_TIMEOUT_SECONDS): {reason}.{self._last_lines()}"
                    )
                self._end()
                return late
            self._tell(note=reason)
            if self._stopping.wait(_POLL_SECONDS):
                break
        return "ended"

    def _await_death(self) -> None:
        while not self._has_ended() and not self._stopping.wait(_POLL_SECONDS):
            pass

    def _has_ended(self) -> bool:
        """Whether the process has ended; it stays unburied, so that its pid is nobody else's."""
        assert self._child is not None
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _bury(self) -> str:
        """Clear away the rest of its group; returns how it ended, in words."""
        assert self._child is not None
        process.reap_group(self._child)
        code = self._child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _end(self) -> None:
        """Ask the process to stop, wait, kill it."""
        assert self._child is not None
        identity = process.ProcessId.of(self._child.pid)
        if identity is not None:
            process.stop(identity, self.part.stop_signal, self._settings.stop_timeout_seconds)

    def _fail(self, reason: str) -> None:
        if self._child is not None and self._child.returncode is None:
            self._end()
            self._bury()
        self.failure = reason
        self._tell(stage=Stage.FAILED, process=None, note=reason)
        self.settled.set()

    def _last_lines(self) -> str:
        lines = logs.tail(self._log, _LAST_LINES)
        return "\n".join([f" Its last lines ({self._log}):", *(f"  {line}" for line in lines)]) if lines else ""

    def _tell(self, **changes: object) -> None:
        changed = replace(self._state, **changes)  # type: ignore[arg-type]  # names are checked by `replace` itself
        if changed != self._state:
            self._state = changed
            self._publish(changed)
