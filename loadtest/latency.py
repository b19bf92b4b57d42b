"""Latencies of a run and their percentiles, from every value, not from buckets."""

from array import array
from dataclasses import dataclass, field
from math import ceil


def percentile(ordered: "array[float] | list[float]", share: float) -> float:
    """Nearest-rank percentile: the smallest value with at least this share of all at or below it.

    `ordered` ascends and is not empty; `share` is above 0 and at most 1.
    """
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


@dataclass
class Latencies:
    """Seconds, eight bytes each; of a run without end the newest `limit`."""

    values: "array[float]" = field(default_factory=lambda: array("d"))
    limit: int = 2_000_000
    _oldest: int = 0

    def add(self, seconds: float) -> None:
        """Count one."""
        if len(self.values) < self.limit:
            self.values.append(seconds)
        else:
            self.values[self._oldest] = seconds
            self._oldest = (self._oldest + 1) % self.limit

    def summary_ms(self) -> dict[str, float] | None:
        """p50, p95, p99, max and mean in milliseconds, None without any value."""
        if not self.values:
            return None
        ordered = sorted(self.values)
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        figures = {name: percentile(ordered, share) for name, share in shares.items()}
        figures["mean"] = sum(ordered) / len(ordered)
        return {name: round(seconds * 1000, 2) for name, seconds in figures.items()}
