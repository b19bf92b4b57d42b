"""What a load measured: per kind of request and over time. One process, no locks."""

import resource
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.latency import Latencies

SLICE_SECONDS: Final = 5
"""Width of a point over time."""


@dataclass
class _Slice:
    events: int = 0
    errors: int = 0
    latencies: dict[str, Latencies] = field(default_factory=lambda: defaultdict(Latencies))


class Results:
    """Counts requests. Times are of `time.perf_counter`; `began` is when the first request was due."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.events = 0
        """Acknowledged."""
        self.requests: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.latencies: dict[str, Latencies] = defaultdict(Latencies)
        self.held_up: Counter[str] = Counter()
        """Requests that left late because every connection of their kind still waited for an answer."""
        self.wake_up = Latencies()
        """How late requests left that nothing held up: the generator's own share of the latency."""
        self._cpu = _cpu_seconds()
        self._finished = began
        self._slices: dict[int, _Slice] = defaultdict(_Slice)

    def left(self, name: str, due: float, *, waited: bool) -> None:
        """A request leaves; it had to wait for its time, or its time had passed already."""
        if waited:
            self.wake_up.add(max(0.0, time.perf_counter() - due))
        else:
            self.held_up[name] += 1

    def done(self, name: str, due: float, now: float, *, events: int = 0, problem: str | None = None) -> None:
        """A request is answered; `events` are those acknowledged by it."""
        self.requests[name] += 1
        self.latencies[name].add(now - due)
        self.events += events
        self._finished = max(self._finished, now)
        part = self._slices[int((now - self.began) // SLICE_SECONDS)]
        part.events += events
        part.latencies[name].add(now - due)
        if problem:
            self.errors[f"{name}: {problem}"] += 1
            part.errors += 1

    def figures(self) -> dict[str, Any]:
        """All of it, times in milliseconds."""
        seconds = max(self._finished - self.began, 1e-9)
        return {
            "seconds": round(seconds, 3),
            "events": self.events,
            "achieved_per_second": round(self.events / seconds, 1),
            "requests": dict(self.requests),
            "errors": dict(self.errors),
            "latency_ms": {name: latencies.summary_ms() for name, latencies in self.latencies.items()},
            "held_up": {name: round(count / self.requests[name], 4) for name, count in self.held_up.items()},
            "generator": {
                "cores": round((_cpu_seconds() - self._cpu) / seconds, 3),
                "wake_up_ms": self.wake_up.summary_ms(),
            },
            "over_time": [self._point(number) for number in sorted(self._slices)],
        }

    def _point(self, number: int) -> dict[str, Any]:
        part = self._slices[number]
        return {
            "from_second": number * SLICE_SECONDS,
            "events_per_second": round(part.events / SLICE_SECONDS, 1),
            "errors": part.errors,
            "latency_ms": {name: latencies.summary_ms() for name, latencies in part.latencies.items()},
        }


def limits(figures: dict[str, Any]) -> list[str]:
    """Where the generator itself was the limit, in sentences; its figures then say less of the server."""
    found = []
    generator = figures["generator"]
    if generator["cores"] > _FULL_CORE:
        found.append(f"The generator used {generator['cores']:.2f} cores of the one it can use.")
    wake_up = generator["wake_up_ms"]
    if wake_up and wake_up["p99"] > _LATE_MS:
        found.append(f"The generator sent up to {wake_up['p99']:.0f} ms late (p99) where nothing held it up.")
    for name, share in figures["held_up"].items():
        if share > _HELD_UP:
            found.append(
                f"{share:.0%} of {name}'s requests left late, because all its connections waited for answers: the"
                " server is slower than the rate, or the workload has too few users."
            )
    return found


_FULL_CORE: Final = 0.9
_LATE_MS: Final = 50
_HELD_UP: Final = 0.05


def _cpu_seconds() -> float:
    """Processor time this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
