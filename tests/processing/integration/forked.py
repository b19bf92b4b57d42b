"""Processes that end at a failpoint, as forks."""

import signal
from collections.abc import Callable
from typing import Any

from processing import failpoints
from tests.forked import FORKED


def arm(failpoint: str, turn: int = 1) -> None:
    """End this process when it comes to the failpoint, the so-many-eth time."""
    vars(failpoints)["_ARMED"] = failpoint, turn


def die_at(failpoint: str, work: Callable[..., Any], *arguments: Any) -> None:
    """Do the work, which can be pickled, in a process of its own that must end at the failpoint."""
    child = FORKED.Process(target=_armed, args=(failpoint, work, arguments))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, f"{failpoint}: exit code {child.exitcode}"


def _armed(failpoint: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    arm(failpoint)
    work(*arguments)
