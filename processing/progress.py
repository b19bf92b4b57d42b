"""What Spark tells of each micro-batch, passed on to Prometheus. It is told in a thread of py4j's, after the batch."""

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from processing.metrics import EpochMetrics


class ProgressListener(StreamingQueryListener):
    """Spark logs what this raises, and goes on."""

    def __init__(self, metrics: EpochMetrics) -> None:
        self._metrics = metrics

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark\'s name
        """Nothing is known of it yet."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark\'s name
        """A micro-batch is done, from asking Kafka for its end to the note that it was handed over."""
        progress = event.progress
        seconds = {phase: milliseconds / 1000 for phase, milliseconds in progress.durationMs.items()}
        self._metrics.observe_batch(seconds, progress.inputRowsPerSecond, progress.processedRowsPerSecond)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802 - Spark\'s name
        """Nothing came for ten seconds."""
        self._metrics.observe_batch({}, 0.0, 0.0)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark\'s name
        """The part goes on with another, or ends; both are told elsewhere."""
