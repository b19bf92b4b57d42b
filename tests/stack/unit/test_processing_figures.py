"""Processing's figures in `status`, from the very text that the part exposes."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest

from contracts.metrics import PROCESSING
from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM
from processing.lag import LagWatch
from processing.ledger import TALLY, Entry
from processing.metrics import EpochMetrics
from processing.recent_ids import RecentIds
from stack.processing_figures import ProcessingFigures, ask_processing, read_figures
from stack.status_text import processing_lines
from tests.processing.builders import at, batch_of, click, record

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0


def figures(metrics: EpochMetrics) -> ProcessingFigures:
    return read_figures(generate_latest(metrics.registry).decode(), NOW)


def test_figures_are_those_that_the_part_tells() -> None:
    metrics, batch = EpochMetrics(), batch_of([record(click())])
    for epoch, seconds in ((6, 0.2), (7, 0.4)):
        entry = Entry(epoch, datetime.now(UTC), batch, dict.fromkeys(TALLY, 1), {}, at(int(NOW * 1000) - 301_000))
        metrics.observe(entry, {"read": seconds, "merge": 0.05}, batch.newest_log_time + timedelta(seconds=2))
    metrics.observe_batch({"addBatch": 0.4}, 2_000.0, 9_000.0)
    metrics.observe_behind("clickstream", 30)
    metrics.observe_behind("transactions", 12)
    metrics.observe_recent(RecentIds())
    metrics.restarts.inc()
    metrics.undelivered.inc(2)
    metrics.maintenance.observe_compact(2, {}, 1.0)
    told = figures(metrics)
    assert (told.epoch, told.input_records_per_second, told.behind_records) == (7, 2_000.0, 42)
    assert told.epoch_seconds == {"read": 0.3, "merge": 0.05}
    assert (told.watermark_lag_seconds, told.errors) == (301.0, 4)
    assert (told.recent_ids, told.recent_ids_bytes) == (0, 0)
    assert told.resident_memory_bytes["python"] > 10_000_000
    assert set(told.resident_memory_bytes) == {"python", "java", "background"}


def test_how_far_behind_it_is_is_unknown_while_the_broker_does_not_answer() -> None:
    metrics = EpochMetrics()
    metrics.observe_behind(CLICKSTREAM.name, 30)
    LagWatch(KafkaSettings(bootstrap="127.0.0.1:1"), metrics).look({CLICKSTREAM.name: {0: 5}})
    told = figures(metrics)
    assert told.behind_records is None
    assert "nobody knows how many behind Kafka's end" in processing_lines(told)[0]


def test_before_the_first_epoch_there_is_no_watermark() -> None:
    told = figures(EpochMetrics())
    assert (told.epoch, told.watermark_lag_seconds, told.epoch_seconds, told.errors) == (0, None, {}, 0)


def test_where_nobody_listens_there_are_no_figures() -> None:
    assert ask_processing("http://127.0.0.1:1/metrics") is None


def test_every_metric_that_is_listed_is_exposed_by_the_part() -> None:
    text = generate_latest(EpochMetrics().registry).decode()
    missing = [metric.name for metric in PROCESSING if f"# HELP {metric.name.removesuffix('_total')}" not in text]
    assert missing == []
