"""kill -9 of processing between two named steps of an epoch."""

from dataclasses import dataclass
from typing import Final

import psutil

from loadtest.drill.faults.kill import Kill
from loadtest.drill.ground import DrillError, Ground, eventually

_ARMED: Final = "failpoint"
"""File in the home that processing reads at its start, and takes away."""
_START_SECONDS: Final = 120.0
_REACH_SECONDS: Final = 120.0


@dataclass(frozen=True)
class AtFailpoint:
    """Processing is killed, starts armed, and ends itself at the place; the start after that is not armed."""

    place: str
    """A name of `processing.failpoints`, with `@n` the n-th time it is come to."""

    async def strike(self, ground: Ground) -> None:
        armed = ground.home / _ARMED
        armed.write_text(self.place, "utf-8")
        try:
            first = ground.pid("processing")
            await Kill("processing").strike(ground)
            await eventually(lambda: _pid(ground) not in {None, first}, _START_SECONDS, "processing starts again")
            second = _pid(ground)
            await eventually(lambda: not armed.exists(), _START_SECONDS, "processing is armed")
            await eventually(
                lambda: second is None or not psutil.pid_exists(second) or _pid(ground) != second,
                _REACH_SECONDS,
                f"processing comes to {self.place}",
            )
        finally:
            armed.unlink(missing_ok=True)


def _pid(ground: Ground) -> int | None:
    try:
        return ground.pid("processing")
    except DrillError:
        return None
