"""What Prometheus is told of an epoch."""

from datetime import UTC, datetime, timedelta

import pytest

from processing.ledger import TALLY, Entry
from processing.metrics import EpochMetrics
from processing.verification.schedule import verify_turn
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


def test_a_compaction_is_told_by_table() -> None:
    metrics = EpochMetrics()
    table = {"table": "events", "files_after": 3, "bytes_after": 5_000, "put_together": 7, "deleted": 2}
    for code, told in ((0, {"tables": [table]}), (0, {"tables": [table | {"put_together": 0}]}), (2, {})):
        metrics.maintenance.observe_compact(code, told, 1.5)
    assert observed(metrics, "millrace_processing_delta_files", table="events") == 3
    assert observed(metrics, "millrace_processing_delta_bytes", table="events") == 5_000
    assert observed(metrics, "millrace_processing_compacted_files_total", table="events") == 7
    assert observed(metrics, "millrace_processing_deleted_files_total", table="events") == 4
    assert observed(metrics, "millrace_processing_maintenance_failures_total", task="compact") == 1
    assert observed(metrics, "millrace_processing_maintenance_seconds_sum", task="compact") == pytest.approx(4.5)
    assert observed(metrics, "millrace_processing_maintenance_timestamp_seconds", task="compact") == pytest.approx(
        datetime.now(UTC).timestamp(), abs=60
    )


def test_a_turn_of_gold_that_failed_is_no_turn_that_ended_well() -> None:
    metrics = EpochMetrics()
    metrics.maintenance.observe_gold(2, {}, 1.0)
    assert observed(metrics, "millrace_processing_maintenance_timestamp_seconds", task="gold") is None
    metrics.maintenance.observe_gold(0, {"cells": 4}, 1.0)
    assert observed(metrics, "millrace_processing_gold_cells_total") == 4


@pytest.mark.parametrize(("code", "outcome"), [(0, "equal"), (1, "differs"), (2, "failed"), (-9, "failed")])
def test_a_verification_is_counted_by_its_outcome(code: int, outcome: str) -> None:
    metrics = EpochMetrics()
    told = {"rows": 70, "mismatches": 3, "seconds": 2.0, "epoch": 5} if code in (0, 1) else {}
    verify_turn(600, metrics.verify).observe(code, told, 1.0)
    assert observed(metrics, "millrace_processing_verify_runs_total", outcome=outcome) == 1
    assert observed(metrics, "millrace_processing_verify_rows_total") == (70 if told else 0)
    assert observed(metrics, "millrace_processing_verify_mismatches") == (3 if told else 0)
    assert observed(metrics, "millrace_processing_verify_timestamp_seconds") == pytest.approx(
        datetime.now(UTC).timestamp(), abs=60
    )
