"""Every Prometheus metric there is: name, kind, labels, meaning. The one list dashboards and alerts rely on.

Names follow the Prometheus naming rules: `millrace_` prefix, base units, counters end in `_total`. No label ever holds
a user id, a URL or anything else a client can make up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Kind = Literal["counter", "gauge", "histogram"]
Combine = Literal["livesum", "livemin", "livemax"]


@dataclass(frozen=True)
class Metric:
    """One metric as it is exposed."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, in the unit of the name."""
    combine: Combine = "livesum"
    """How a gauge adds up over the workers of a part."""


LATENCY_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EPOCH_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
VERIFY_SECONDS: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

MAINTENANCE_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)

GATEWAY: Final = (
    Metric("millrace_gateway_requests_total", "counter", "Requests answered.", ("route", "status")),
    Metric(
        "millrace_gateway_request_seconds",
        "histogram",
        "Time from the request's head to its answer, broker acknowledgement included.",
        ("route",),
        LATENCY_SECONDS,
    ),
    Metric(
        "millrace_gateway_accepted_events_total",
        "counter",
        "Events acknowledged by the broker, by write-key source and topic.",
        ("source", "topic"),
    ),
    Metric(
        "millrace_gateway_rejected_events_total",
        "counter",
        "Events refused and kept in the topic `rejected`, by write-key source and reason of contracts.rejections.",
        ("source", "reason"),
    ),
    Metric(
        "millrace_gateway_mended_events_total",
        "counter",
        "Faults that grace mode let pass, by write-key source and reason; the events are among the accepted ones.",
        ("source", "reason"),
    ),
    Metric(
        "millrace_gateway_problems_total",
        "counter",
        "Requests refused as a whole, by problem code.",
        ("code",),
    ),
    Metric(
        "millrace_gateway_rate_limited_requests_total",
        "counter",
        "Requests refused because their source sends more than it may.",
        ("source",),
    ),
    Metric("millrace_gateway_body_bytes_total", "counter", "Bytes of request bodies read, as sent."),
    Metric("millrace_gateway_requests_in_flight", "gauge", "Requests being worked on."),
    Metric("millrace_gateway_buffered_body_bytes", "gauge", "Memory reserved for request bodies."),
    Metric(
        "millrace_gateway_ack_seconds",
        "histogram",
        "Time from handing a request's records to the producer until the broker has acknowledged the last of them.",
        (),
        LATENCY_SECONDS,
    ),
    Metric("millrace_gateway_kafka_up", "gauge", "1 while the broker answers and the topics exist.", combine="livemin"),
    Metric("millrace_gateway_kafka_queue_messages", "gauge", "Records handed over and not yet acknowledged."),
    Metric(
        "millrace_gateway_kafka_delivery_failures_total",
        "counter",
        "Records the broker did not acknowledge, by librdkafka error name.",
        ("error",),
    ),
)
"""Exposed by `ingestion`."""

SERVING: Final = (
    Metric(
        "millrace_serving_requests_total",
        "counter",
        "GraphQL requests over HTTP by outcome: data, errors, invalid or unparsable (could not be run), refused.",
        ("outcome",),
    ),
    Metric(
        "millrace_serving_request_seconds",
        "histogram",
        "Time from a GraphQL request's arrival to its answer.",
        (),
        LATENCY_SECONDS,
    ),
    Metric(
        "millrace_serving_answers",
        "gauge",
        "Answers so far by where they came from: hits (kept of this epoch), misses (made), shared (made for another).",
        ("result",),
    ),
    Metric(
        "millrace_serving_shared_answers_total",
        "counter",
        "Look-ups in the cache that replicas share: found, absent; failed: it did not answer, or did not keep one.",
        ("result",),
    ),
    Metric("millrace_serving_subscriptions", "gauge", "Subscriptions being read."),
    Metric("millrace_serving_feed_connected", "gauge", "1 while the epoch feed listens.", combine="livemin"),
    Metric("millrace_serving_epoch", "gauge", "Newest epoch heard of; 0 before the first.", combine="livemax"),
)
"""Exposed by `serving`."""

PROCESSING: Final = (
    Metric("millrace_processing_epoch", "gauge", "Last committed epoch.", combine="livemax"),
    Metric(
        "millrace_processing_phase_seconds",
        "histogram",
        "Time of an epoch by phase: read, decode, judge, dedupe, enrich, deltas, merge, ledger, commit, log, results.",
        ("phase",),
        EPOCH_SECONDS,
    ),
    Metric(
        "millrace_processing_freshness_seconds",
        "histogram",
        "Commit time less the newest broker time in the epoch.",
        (),
        EPOCH_SECONDS,
    ),
    Metric(
        "millrace_processing_records_total",
        "counter",
        "Records by what became of them; outcomes are the counts of the ledger.",
        ("outcome",),
    ),
    Metric("millrace_processing_watermark_timestamp_seconds", "gauge", "Event time before which all is final."),
    Metric(
        "millrace_processing_behind_records",
        "gauge",
        "Records in Kafka that no committed epoch has read, by topic; NaN while the broker does not say.",
        ("topic",),
        combine="livemax",
    ),
    Metric(
        "millrace_processing_query_phase_seconds",
        "histogram",
        "Time of Spark's micro-batch by phase, in Spark's words: latestOffset, queryPlanning, walCommit, addBatch, "
        "commitOffsets and others; triggerExecution is all of it.",
        ("phase",),
        EPOCH_SECONDS,
    ),
    Metric(
        "millrace_processing_input_records_per_second",
        "gauge",
        "Records that came per second between the last two micro-batches.",
    ),
    Metric(
        "millrace_processing_read_records_per_second",
        "gauge",
        "Records per second that the last micro-batch read; far above the former while there is room.",
    ),
    Metric("millrace_processing_recent_ids", "gauge", "Event ids remembered to tell duplicates by."),
    Metric("millrace_processing_recent_ids_bytes", "gauge", "Memory that they take."),
    Metric(
        "millrace_processing_resident_memory_bytes",
        "gauge",
        "Memory of the part's processes: python, java (Spark), background (the turn under way).",
        ("process",),
    ),
    Metric(
        "millrace_processing_undelivered_results_total",
        "counter",
        "Changed rows that could not be published; the tables have them.",
    ),
    Metric("millrace_processing_restarts_total", "counter", "Restarts of the query after a fault."),
    Metric(
        "millrace_processing_maintenance_seconds",
        "histogram",
        "Time of a piece of maintenance by task: roll_up (between two epochs), compact, gold, report.",
        ("task",),
        MAINTENANCE_SECONDS,
    ),
    Metric("millrace_processing_maintenance_failures_total", "counter", "Maintenance that failed.", ("task",)),
    Metric("millrace_processing_roll_ups_made_total", "counter", "Cells of roll-ups made, by grain.", ("grain",)),
    Metric(
        "millrace_processing_roll_ups_due", "gauge", "Cells that could be made, at the last look.", combine="livemax"
    ),
    Metric(
        "millrace_processing_roll_up_delay_seconds",
        "gauge",
        "Event time from the end of the oldest cell that could be made to the watermark; 0 when none could.",
        combine="livemax",
    ),
    Metric(
        "millrace_processing_dropped_hours_total",
        "counter",
        "Hours whose fine rows were dropped, by the grain they were summed up to.",
        ("grain",),
    ),
    Metric(
        "millrace_processing_books_residue",
        "gauge",
        "What the books are off by, by check, at the last append to the event log; 0 where they close.",
        ("check",),
        combine="livemax",
    ),
    Metric(
        "millrace_processing_verify_runs_total",
        "counter",
        "Background comparisons of the tables with the event log, by outcome: equal, differs, failed.",
        ("outcome",),
    ),
    Metric("millrace_processing_verify_rows_total", "counter", "Rows that they have compared."),
    Metric("millrace_processing_verify_mismatches", "gauge", "Rows that differed in the last one.", combine="livemax"),
    Metric("millrace_processing_verify_seconds", "histogram", "How long they took.", (), VERIFY_SECONDS),
    Metric("millrace_processing_verify_timestamp_seconds", "gauge", "When the last one ended.", combine="livemax"),
    Metric(
        "millrace_processing_maintenance_timestamp_seconds",
        "gauge",
        "When maintenance last ended well, by task: compact, gold, report.",
        ("task",),
        combine="livemax",
    ),
    Metric("millrace_processing_delta_files", "gauge", "Files of a Delta table after its last compaction.", ("table",)),
    Metric("millrace_processing_delta_bytes", "gauge", "Bytes in them.", ("table",)),
    Metric(
        "millrace_processing_compacted_files_total",
        "counter",
        "Files that compaction has replaced by fewer, by table.",
        ("table",),
    ),
    Metric("millrace_processing_deleted_files_total", "counter", "Old files that it has deleted.", ("table",)),
    Metric(
        "millrace_processing_gold_cells_total",
        "counter",
        "Hours and days written to the gold tables, or written again.",
    ),
)
"""Exposed by `processing`."""

WATCH: Final = (
    Metric("millrace_watch_epoch", "gauge", "Last epoch looked at.", combine="livemax"),
    Metric(
        "millrace_watch_look_seconds",
        "histogram",
        "Time of a look at what was committed: windows judged, rules, alerts.",
        (),
        EPOCH_SECONDS,
    ),
    Metric(
        "millrace_watch_flag_seconds",
        "histogram",
        "From the commit that closed a window to its flags, for each end of flagged windows.",
        (),
        EPOCH_SECONDS,
    ),
    Metric("millrace_watch_failures_total", "counter", "Looks that failed; they are tried again."),
    Metric(
        "millrace_watch_flags_total",
        "counter",
        "Windows flagged, by scope and method; one judged again counts again.",
        ("scope", "method"),
    ),
    Metric("millrace_watch_alerts_total", "counter", "Alerts by kind that opened and resolved.", ("kind", "change")),
    Metric(
        "millrace_watch_deliveries_total",
        "counter",
        "Attempts to deliver a notice by outcome: delivered, put_off, dropped.",
        ("outcome",),
    ),
    Metric(
        "millrace_watch_trainings_total",
        "counter",
        "Times that a training was looked for, by outcome: trained, nothing_to_do, failed.",
        ("outcome",),
    ),
    Metric(
        "millrace_watch_forecasts_total",
        "counter",
        "Times that a forecast was looked for, by outcome: made, nothing_to_do, failed.",
        ("outcome",),
    ),
    Metric("millrace_watch_model_version", "gauge", "Number of the last training.", combine="livemax"),
)
"""Exposed by the watch (`processing.watch`)."""

ALL: Final = GATEWAY + PROCESSING + SERVING + WATCH


class Instruments(Mapping[str, Any]):
    """The metrics of one part, made once at start, looked up by name; a name that is not listed is a KeyError."""

    def __init__(self, metrics: tuple[Metric, ...], registry: CollectorRegistry) -> None:
        self._by_name = {metric.name: _make(metric, registry) for metric in metrics}

    def __getitem__(self, name: str) -> Any:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def counter(self, name: str) -> Counter:
        """The counter of this name."""
        found = self._by_name[name]
        assert isinstance(found, Counter)
        return found

    def gauge(self, name: str) -> Gauge:
        """The gauge of this name."""
        found = self._by_name[name]
        assert isinstance(found, Gauge)
        return found

    def histogram(self, name: str) -> Histogram:
        """The histogram of this name."""
        found = self._by_name[name]
        assert isinstance(found, Histogram)
        return found


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.meaning, metric.labels, registry=registry)
    if metric.kind == "histogram":
        return Histogram(metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)
    return Gauge(metric.name, metric.meaning, metric.labels, registry=registry, multiprocess_mode=metric.combine)
