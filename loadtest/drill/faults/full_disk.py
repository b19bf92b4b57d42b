"""No space left on the disk of the stack's home, or of one of its folders."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.drill.ground import DrillError, Ground

_MOST_BYTES: Final = 4 * 2**30
"""Never fill more than this: only a small disk made for the drill is filled."""
_CHUNK: Final = 4 * 2**20
_REFILL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class FullDisk:
    """A disk is filled to the last byte, and kept so; then the space comes back.

    Needs it to be a small file system of its own, which root can make (tmpfs).
    """

    seconds: float
    folder: str = ""
    """Below the home; empty for the home itself."""

    async def strike(self, ground: Ground) -> None:
        disk = ground.home / self.folder
        if not _is_small_disk(disk):
            raise DrillError(f"{disk} is no small file system of its own; this drill needs root and a tmpfs")
        path = disk / "filler"
        try:
            with path.open("wb", buffering=0) as file:
                for _ in range(max(1, int(self.seconds / _REFILL_SECONDS))):
                    await asyncio.to_thread(_fill, file.fileno())  # the drill's links run in this loop
                    await asyncio.sleep(_REFILL_SECONDS)
        finally:
            path.unlink(missing_ok=True)


def _is_small_disk(folder: Path) -> bool:
    if not folder.is_mount():
        return False
    size = os.statvfs(folder)
    return size.f_blocks * size.f_frsize <= _MOST_BYTES


def _fill(descriptor: int) -> None:
    size = _CHUNK
    while size:
        try:
            os.write(descriptor, bytes(size))
        except OSError:  # no space for so much: try less
            size //= 4
