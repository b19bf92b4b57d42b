"""What Spark tells of each micro-batch, passed on to Prometheus.

It is asked for, as JSON. A listener in Python would be told, but pyspark reads the event member by member and the JVM
looks for a class in every jar for each: two thirds of its processor time while little came in.
"""

from time import monotonic
from typing import Final

from pyspark.sql.streaming.query import StreamingQuery

from processing.metrics import EpochMetrics

_IDLE_AFTER_SECONDS: Final = 10.0


class ProgressWatch:
    """Passes on what one query has done since the look before. Spark keeps the last ten micro-batches."""

    def __init__(self, query: StreamingQuery, metrics: EpochMetrics) -> None:
        self._query = query
        self._metrics = metrics
        self._told = -1
        self._told_at = monotonic()

    def look(self) -> None:
        """Pass on each micro-batch that is done, from asking Kafka for its end to the note that it was handed over."""
        for progress in self._query.recentProgress:
            if progress.batchId > self._told and progress.numInputRows:
                self._told, self._told_at = progress.batchId, monotonic()
                seconds = {phase: milliseconds / 1000 for phase, milliseconds in progress.durationMs.items()}
                self._metrics.observe_batch(seconds, progress.inputRowsPerSecond, progress.processedRowsPerSecond)
        if monotonic() - self._told_at > _IDLE_AFTER_SECONDS:
            self._metrics.observe_batch({}, 0.0, 0.0)
