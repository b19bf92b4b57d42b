"""Faults of processing, sorted by what must happen next.

ProcessingError
  RetryableError          try again: the broker or the database is away for now
  FatalError              stop and say what to do: going on would make numbers wrong
    AnotherProcessorError   a second processor on the same store
    OffsetRegressionError   an epoch begins before the ledger's end: it would count records twice
    LogGapError             records that the ledger or the event log needs are gone from Kafka
"""


class ProcessingError(Exception):
    """Root of this part's errors."""


class RetryableError(ProcessingError):
    """Something outside is away; the same work will succeed later."""


class FatalError(ProcessingError):
    """Going on would lose or double events. The message says what a person has to do."""


class AnotherProcessorError(FatalError):
    """The store's writer lock is held by another processor."""

    def __init__(self, schema: str) -> None:
        super().__init__(
            f"another processor is writing to schema {schema!r}; stop it first, or give this one a schema of its own"
        )


class OffsetRegressionError(FatalError):
    """Offsets that the ledger has already committed came again. Nothing of the epoch was committed."""


class LogGapError(FatalError):
    """Kafka no longer holds records that are still needed."""
