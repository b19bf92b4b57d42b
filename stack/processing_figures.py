"""How processing is, in figures: read from what it tells Prometheus."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_PREFIX = "millrace_processing_"


@dataclass(frozen=True)
class ProcessingFigures:
    """Processing, now. Means are over all epochs since its start."""

    epoch: int
    input_records_per_second: float
    """Records that came between the last two micro-batches."""
    behind_records: int | None
    """Records in Kafka that no committed epoch has read; null while the broker does not say."""
    epoch_seconds: dict[str, float]
    """Mean time by phase."""
    watermark_lag_seconds: float | None
    """How far the watermark is behind the clock; null before the first epoch."""
    recent_ids: int
    recent_ids_bytes: int
    resident_memory_bytes: dict[str, int]
    """By process: python, java, background."""
    errors: int
    """Restarts of the query, maintenance that failed and results not delivered, since its start."""


def ask_processing(url: str) -> ProcessingFigures | None:
    """Ask the part at its `/metrics`."""
    try:
        answer = httpx.get(url, timeout=3.0, trust_env=False)
        answer.raise_for_status()
        return read_figures(answer.text, time.time())
    except (httpx.HTTPError, ValueError):
        return None


def read_figures(text: str, now: float) -> ProcessingFigures:
    """The figures in Prometheus' text format; `now` in Unix seconds. Raises ValueError for a text that is none."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    total = _totals(samples)
    sums, counts = (_by_label(samples, f"phase_seconds_{what}", "phase") for what in ("sum", "count"))
    watermark, behind = total["watermark_timestamp_seconds"], total["behind_records"]
    return ProcessingFigures(
        epoch=int(total["epoch"]),
        input_records_per_second=round(total["input_records_per_second"], 1),
        behind_records=None if isnan(behind) else int(behind),
        epoch_seconds={phase: round(spent / counts[phase], 4) for phase, spent in sums.items() if counts[phase]},
        watermark_lag_seconds=round(now - watermark, 1) if watermark else None,
        recent_ids=int(total["recent_ids"]),
        recent_ids_bytes=int(total["recent_ids_bytes"]),
        resident_memory_bytes={
            process: int(size) for process, size in _by_label(samples, "resident_memory_bytes", "process").items()
        },
        errors=int(total["restarts_total"] + total["maintenance_failures_total"] + total["undelivered_results_total"]),
    )


def _totals(samples: Iterable[Sample]) -> dict[str, float]:
    """Values by name without prefix, summed over labels."""
    totals: dict[str, float] = defaultdict(float)
    for sample in samples:
        if sample.name.startswith(_PREFIX):
            totals[sample.name.removeprefix(_PREFIX)] += sample.value
    return totals


def _by_label(samples: Iterable[Sample], name: str, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in samples if sample.name == _PREFIX + name}
