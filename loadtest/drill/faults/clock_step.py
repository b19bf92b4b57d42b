"""The wall clock of the stack's machine jumps, and later jumps back."""

import asyncio
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.drill.ground import DrillError, Ground

CLOCK: Final = "clock"
"""File in the home of a stack that has a clock of its own: by how many seconds it is off (see clock.c)."""


@dataclass(frozen=True)
class ClockStep:
    """All parts find the wall clock off by so many seconds, from one moment to the next; some time later it is right.

    Needs a stack with a clock of its own: that of the machine is not touched.
    """

    off_seconds: int
    for_seconds: float

    async def strike(self, ground: Ground) -> None:
        clock = ground.home / CLOCK
        if not clock.exists():
            raise DrillError(f"{ground.home} has no clock of its own; let the drill start a stack")
        try:
            set_clock(clock, self.off_seconds)
            await asyncio.sleep(self.for_seconds)
        finally:
            set_clock(clock, 0)


def set_clock(clock: Path, off_seconds: int) -> None:
    """In place: the processes have the file mapped."""
    with clock.open("r+b" if clock.exists() else "wb") as file:
        file.write(struct.pack("=q", off_seconds))
