"""How far a long piece of work is: bars with what is left of it where a person watches, a line per step elsewhere."""

from types import TracebackType
from typing import Self

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

log = structlog.get_logger()


class Display:
    """Shows steps on stderr. `tell` is what the work calls."""

    def __init__(self, work: str) -> None:
        self._work = work
        console = Console(stderr=True)
        self._step = ""
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeLeftColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def tell(self, step: str, done: int, total: int) -> None:
        """So much of the step is done."""
        if self._progress.disable:
            if step != self._step:
                log.info(f"{self._work}_step", step=step, of=total)
        elif self._task is None or step != self._step:
            self._task = self._progress.add_task(step, total=total, completed=done)
        else:
            self._progress.update(self._task, total=total, completed=done)
        self._step = step

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
