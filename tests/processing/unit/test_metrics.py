"""What Prometheus is told of an epoch."""

from datetime import UTC, datetime, timedelta

import pytest

from processing.ledger import TALLY, Entry
from processing.metrics import EpochMetrics
from tests.processing.builders import START_MS, at, batch_of, click, record

pytestmark = pytest.mark.unit


def observed(metrics: EpochMetrics, name: str, **labels: str) -> float | None:
    value: float | None = metrics.registry.get_sample_value(name, labels)
    return value


def test_an_epoch_is_counted_by_outcome_and_timed_by_phase() -> None:
    metrics = EpochMetrics()
    batch = batch_of([record(click())])
    counts = {name: number for number, name in enumerate(TALLY)}
    for epoch in (6, 7):
        entry = Entry(epoch, datetime.now(UTC), batch, counts, {}, at(START_MS - 1000))
        metrics.observe(entry, {"decode": 0.2}, batch.newest_log_time + timedelta(seconds=2))
    assert observed(metrics, "millrace_processing_epoch") == 7
    assert {name: observed(metrics, "millrace_processing_records_total", outcome=name) for name in TALLY} == {
        name: 2 * number for name, number in counts.items()
    }
    assert observed(metrics, "millrace_processing_phase_seconds_sum", phase="decode") == pytest.approx(0.4)
    assert observed(metrics, "millrace_processing_freshness_seconds_sum") == pytest.approx(4.0)
    assert observed(metrics, "millrace_processing_watermark_timestamp_seconds") == START_MS / 1000 - 1


def test_before_there_is_a_watermark_none_is_told() -> None:
    metrics = EpochMetrics()
    batch = batch_of([record(click())])
    entry = Entry(1, datetime.now(UTC), batch, dict.fromkeys(TALLY, 0), {}, None)
    metrics.observe(entry, {}, batch.newest_log_time)
    assert observed(metrics, "millrace_processing_watermark_timestamp_seconds") in (None, 0)
