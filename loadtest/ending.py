"""SIGTERM ends a command as Ctrl+C does: with the processes, topics and schemas that it has made."""

import signal
from types import FrameType


def end_in_order() -> None:
    """From now on SIGTERM raises SystemExit, so that everything under way is left as at an error."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
