"""What a stack holds: memory and open files of its parts, live files of its Delta tables, files of its checkpoint.

Bounded means: after however many faults no more than twice what it was before the first of them, and some.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from deltalake import DeltaTable

from contracts.settings import LogSettings
from loadtest.drill.ground import DrillError, Ground

Resources = dict[str, dict[str, int]]
"""Figure, whose it is, and how much."""

_FACTOR: Final = 2
_SOME: Final = {"memory_mib": 512, "open_files": 500, "delta_files": 500, "checkpoint_files": 1000}
"""By figure: what comes and goes. A JVM fills the heap it may have, files of a log wait for their compaction."""
_PARTS: Final = ("gateway", "kafka", "postgres", "processing", "serving", "watch")


def resources(ground: Ground) -> Resources:
    """What it holds now, of parts that run."""
    found: Resources = {figure: {} for figure in _SOME}
    for part in _PARTS:
        with suppress(DrillError, psutil.NoSuchProcess):
            processes = ground.processes(part)
            found["memory_mib"][part] = round(sum(map(_memory, processes)) / 2**20)
            found["open_files"][part] = sum(map(_open_files, processes))
    logs = LogSettings().path.rglob("_delta_log")
    found["delta_files"] = {log.parent.name: len(DeltaTable(str(log.parent)).file_uris()) for log in logs}
    found["checkpoint_files"] = {"checkpoint": _files(ground.home / "checkpoint")}
    return found


def grown(before: Resources, after: Resources) -> list[str]:
    """What is above its bound, in sentences. What was not there before began with nothing."""
    return [
        f"{figure.replace('_', ' ')} of {whose}: {now:,}, and {was:,} before the first fault"
        for figure, found in after.items()
        for whose, now in found.items()
        if now > _FACTOR * (was := before[figure].get(whose, 0)) + _SOME[figure]
    ]


def _memory(process: psutil.Process) -> int:
    """Proportional: what backends share counts once."""
    with suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0


def _open_files(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.num_fds())
    return 0


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*"))
