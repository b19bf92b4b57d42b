"""A part that stands still and does not know it: SIGSTOP, and after a while SIGCONT."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import psutil

from loadtest.drill.ground import Ground


@dataclass(frozen=True)
class Freeze:
    """All of a part's processes stop at once, and go on later."""

    part: str
    seconds: float

    async def strike(self, ground: Ground) -> None:
        frozen = ground.processes(self.part)
        try:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            await asyncio.sleep(self.seconds)
        finally:
            for process in reversed(frozen):
                with suppress(psutil.NoSuchProcess):
                    process.resume()
