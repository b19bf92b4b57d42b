"""What a person sees while the stack starts, runs and stops: a table that changes, or lines where output is a file."""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stack.state import PartState, Phase, Stage, State

_COLOURS = {Stage.READY: "green", Stage.FAILED: "red", Stage.RESTARTING: "yellow", Stage.STOPPED: "dim"}
_SLOW_NOTE_SECONDS = 2.0


class Display:
    """Shows states as they come. Use as a context manager; `update` may be called from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False) if console.is_terminal else None
        self._shown: dict[str, tuple[Stage, str]] = {}
        self._noted_at = 0.0
        self._started = time.monotonic()

    def __enter__(self) -> "Display":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, state: State) -> None:
        """Show a state."""
        if self._live is not None:
            self._live.update(self._table(state))
        else:
            self._print_changes(state)

    def pause(self) -> None:
        """Leave the terminal to others; later changes are told in lines."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self, state: State) -> Table:
        table = Table.grid(padding=(0, 2))
        busy = {Stage.PREPARING, Stage.STARTING, Stage.RESTARTING}
        for part in state.parts.values():
            stage = Text(part.stage, style=_COLOURS.get(part.stage, ""))
            spins = part.stage in busy and state.phase is Phase.STARTING
            note = Text(_first_line(part.note), style="dim")
            table.add_row(Spinner("dots") if spins else " ", part.name, stage, note)
        return table

    def _print_changes(self, state: State) -> None:
        """A line per change of stage, and at most one every two seconds for what is going on within one."""
        for part in state.parts.values():
            stage, note = self._shown.get(part.name, (None, ""))
            now = time.monotonic()
            news = part.stage is Stage.PREPARING and part.note and part.note != note
            if part.stage is stage and not (news and now - self._noted_at > _SLOW_NOTE_SECONDS):
                continue
            if news:
                self._noted_at = now
            self._shown[part.name] = part.stage, part.note
            self._console.print(self._line(part), highlight=False, markup=False, soft_wrap=True)

    def _line(self, part: PartState) -> str:
        note = f": {_first_line(part.note)}" if part.note else ""
        return f"{time.monotonic() - self._started:6.1f} s  {part.name} {part.stage}{note}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
