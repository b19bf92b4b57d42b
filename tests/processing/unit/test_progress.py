"""What Spark tells of its micro-batches reaches Prometheus once, and stops where it stops."""

import json
from typing import Any, cast

import pytest
from pyspark.sql.streaming.listener import StreamingQueryProgress

from processing import progress
from processing.metrics import EpochMetrics
from processing.progress import ProgressWatch

pytestmark = pytest.mark.unit


class Query:
    """A query with the micro-batches that Spark still keeps."""

    def __init__(self) -> None:
        self.recentProgress: list[StreamingQueryProgress] = []  # Spark's name

    def ran(self, *batches: int, rows: int = 10) -> None:
        self.recentProgress = [_told(batch, rows) for batch in batches]


def _told(batch: int, rows: int) -> StreamingQueryProgress:
    told = {
        "id": "6b8fea97-2e79-44a4-baa2-d676f3c83e3c",
        "runId": "14b18f4d-0190-4b40-ac74-8b01e5792042",
        "name": "millrace",
        "timestamp": "2026-11-28T04:00:00.000Z",
        "batchId": batch,
        "batchDuration": 500,
        "numInputRows": rows,
        "inputRowsPerSecond": 20.0 + batch,
        "processedRowsPerSecond": 40.0 + batch,
        "durationMs": {"addBatch": 400, "getBatch": 100},
        "stateOperators": [],
        "sources": [],
        "sink": {"description": "ForeachBatchSink", "numOutputRows": -1},
        "observedMetrics": {},
    }
    return StreamingQueryProgress.fromJson(json.loads(json.dumps(told)))


@pytest.fixture
def metrics() -> EpochMetrics:
    return EpochMetrics()


def sample(metrics: EpochMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"millrace_processing_{name}", labels)


def test_each_micro_batch_is_told_once(metrics: EpochMetrics) -> None:
    query = Query()
    watch = ProgressWatch(cast(Any, query), metrics)
    watch.look()
    assert sample(metrics, "query_phase_seconds_count", phase="addBatch") is None
    for batches in ([0], [0], [0, 1, 2], [2, 3]):
        query.ran(*batches)
        watch.look()
    assert sample(metrics, "query_phase_seconds_count", phase="addBatch") == 4
    assert sample(metrics, "query_phase_seconds_sum", phase="addBatch") == pytest.approx(1.6)
    assert sample(metrics, "input_records_per_second") == 23.0
    assert sample(metrics, "read_records_per_second") == 43.0


def test_a_look_of_sparks_that_found_nothing_is_not_a_micro_batch(metrics: EpochMetrics) -> None:
    query = Query()
    watch = ProgressWatch(cast(Any, query), metrics)
    query.ran(0, rows=0)
    watch.look()
    assert sample(metrics, "query_phase_seconds_count", phase="addBatch") is None
    query.ran(0, rows=5)
    watch.look()
    assert sample(metrics, "query_phase_seconds_count", phase="addBatch") == 1


def test_where_nothing_came_for_a_while_no_rate_stays(metrics: EpochMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    query = Query()
    watch = ProgressWatch(cast(Any, query), metrics)
    query.ran(0)
    watch.look()
    now += 9
    watch.look()
    assert sample(metrics, "input_records_per_second") == 20.0
    now += 2
    watch.look()
    assert sample(metrics, "input_records_per_second") == 0.0
    assert sample(metrics, "query_phase_seconds_count", phase="addBatch") == 1
