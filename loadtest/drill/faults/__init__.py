"""Faults, a kind per file. A fault is data; what it does to a stack is `strike`."""

from typing import Protocol

from loadtest.drill.faults.backend import LockHeld, MidCopy
from loadtest.drill.faults.broken_link import CutOff, Narrow, Reset, Silent, Slow
from loadtest.drill.faults.clock_step import ClockStep
from loadtest.drill.faults.failpoint import AtFailpoint
from loadtest.drill.faults.freeze import Freeze
from loadtest.drill.faults.full_disk import FullDisk
from loadtest.drill.faults.kill import Kill
from loadtest.drill.faults.poison import Poison
from loadtest.drill.faults.read_only import ReadOnly
from loadtest.drill.ground import Ground

__all__ = [
    "AtFailpoint",
    "ClockStep",
    "CutOff",
    "Fault",
    "Freeze",
    "FullDisk",
    "Kill",
    "LockHeld",
    "MidCopy",
    "Narrow",
    "Poison",
    "ReadOnly",
    "Reset",
    "Silent",
    "Slow",
]


class Fault(Protocol):
    """Something that breaks."""

    async def strike(self, ground: Ground) -> None:
        """Break it, hold it broken as long as the fault says, and let it be whole again; then return.

        May be called again. Heals what it broke even when it is cancelled. Raises DrillError where there was nothing
        to break: a drill that breaks nothing proves nothing.
        """
