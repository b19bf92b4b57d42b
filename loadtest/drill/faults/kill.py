"""kill -9 of a part, or of what works below it."""

from dataclasses import dataclass
from typing import Final

import psutil

from loadtest.drill.ground import DrillError, Ground, eventually

_GONE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Kill:
    """SIGKILL to a part's process; with `worker` to a child of it, which the part itself has to replace."""

    part: str
    worker: bool = False

    async def strike(self, ground: Ground) -> None:
        leader, *below = ground.processes(self.part)
        if self.worker and not below:
            raise DrillError(f"{self.part} has no worker")
        victim = below[-1] if self.worker else leader
        victim.kill()
        await eventually(lambda: _gone(victim), _GONE_SECONDS, f"{self.part} is killed")


def _gone(victim: psutil.Process) -> bool:
    try:
        return not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
