"""What the parts of the stack of this home use while a load runs: processor time, and the most memory at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

_SAMPLE_SECONDS: Final = 1.0


@dataclass
class PartsUse:
    """By part. A process that ended meanwhile is counted up to when it was last looked at."""

    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)

    def figures(self, events: int) -> dict[str, Any]:
        """Processor seconds, the same per million events, and memory, by part."""
        return {
            part: {
                "cpu_seconds": round(seconds, 1),
                "cpu_seconds_per_million_events": round(seconds / events * 1_000_000, 1) if events else None,
                "peak_mib": round(self.peak_mib[part]),
            }
            for part, seconds in self.cpu_seconds.items()
        }


@asynccontextmanager
async def parts_use(home: Path) -> AsyncIterator[PartsUse]:
    """Measure for the length of the block. Where no stack of this home runs, nothing is measured."""
    use, before = PartsUse(), _looked(home)
    sampling = asyncio.create_task(_sample(home, use, before))
    try:
        yield use
    finally:
        sampling.cancel()
        with suppress(asyncio.CancelledError):
            await sampling
        _note(home, use, before)


async def _sample(home: Path, use: PartsUse, before: dict[str, dict[int, float]]) -> None:
    while True:
        _note(home, use, before)
        await asyncio.sleep(_SAMPLE_SECONDS)


def _note(home: Path, use: PartsUse, before: dict[str, dict[int, float]]) -> None:
    for part, now in _looked(home).items():
        known = before.setdefault(part, {})
        grown = sum(max(0.0, seconds - known.get(pid, 0.0)) for pid, seconds in now.items())
        use.cpu_seconds[part] = use.cpu_seconds.get(part, 0.0) + grown
        known.update(now)
        use.peak_mib[part] = max(use.peak_mib.get(part, 0.0), _resident_mib(now))


def _looked(home: Path) -> dict[str, dict[int, float]]:
    """Processor seconds so far, by part and process."""
    try:
        parts = json.loads((home / "state.json").read_text("utf-8"))["parts"]
    except (OSError, ValueError, KeyError):
        return {}
    return {name: _processes(int(part["process"]["pid"])) for name, part in parts.items() if part.get("process")}


def _processes(pid: int) -> dict[int, float]:
    found: dict[int, float] = {}
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(pid)
        for process in (leader, *leader.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
    return found


def _resident_mib(processes: dict[int, float]) -> float:
    """Proportional memory where it can be read: what backends share counts once."""
    total = 0
    for pid in processes:
        with suppress(OSError, ValueError, IndexError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
            total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
    return total / 2**20 if total else sum(_rss(pid) for pid in processes) / 2**20


def _rss(pid: int) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
