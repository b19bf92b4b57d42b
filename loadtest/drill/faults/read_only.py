"""A disk that takes no writes any more: what a kernel makes of one that has failed."""

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.drill.ground import DrillError, Ground, eventually

_TRY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class ReadOnly:
    """A folder of the home is read-only for a while. It has to be a file system of its own, which needs root.

    Only one in which no file is kept open for writing: others the kernel does not let be made so.
    """

    folder: str
    seconds: float

    async def strike(self, ground: Ground) -> None:
        place = ground.home / self.folder
        if not place.is_mount():
            raise DrillError(f"{place} is no file system of its own; this drill needs root")
        try:
            await eventually(lambda: _remounted(place, "ro"), _TRY_SECONDS, f"{place} is read-only")
            await asyncio.sleep(self.seconds)
        finally:
            _remounted(place, "rw")


def _remounted(place: Path, how: str) -> bool:
    command = ["mount", "-o", f"remount,{how}", str(place)]  # it is busy while somebody writes
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - ours
