"""Faults of processing, sorted by what must happen next.

ProcessingError
  RetryableError          try again: the broker or the database is away for now
  FatalError              stop and say what to do: going on would make numbers wrong
    AnotherProcessorError   a second processor on the same store
    OffsetRegressionError   an epoch begins before the ledger's end: it would count records twice
    LogGapError             records that the ledger or the event log needs are gone from Kafka
    LogAheadError           the event log holds epochs that the ledger does not know
    OtherLogError           the event log is not the one that the ledger's epochs were appended to
    DefinitionsError        the tables were made by other definitions than this version's
    LogSchemaError          the event log has other columns than this version's
"""


class ProcessingError(Exception):
    """Root of this part's errors."""


class RetryableError(ProcessingError):
    """Something outside is away; the same work will succeed later."""


class FatalError(ProcessingError):
    """Going on would lose or double events. The message says what a person has to do."""


class AnotherProcessorError(FatalError):
    """The store's writer lock is held by another processor."""

    def __init__(self, schema: str, role: str = "processing") -> None:
        who = "processor" if role == "processing" else role
        super().__init__(
            f"another {who} is writing to schema {schema!r}; stop it first, or give this one a schema of its own"
        )


class OffsetRegressionError(FatalError):
    """Offsets that the ledger has already committed came again. Nothing of the epoch was committed."""


class LogGapError(FatalError):
    """Kafka no longer holds records that are still needed."""


class LogAheadError(FatalError):
    """The event log and the ledger do not belong together, or the store was restored from a backup."""

    def __init__(self, held: int, committed: int) -> None:
        super().__init__(
            f"the event log holds epochs through {held}, but the ledger ends at {committed}: the store was lost, or an"
            " older one was put back, or it belongs to another log. `millrace restore` makes it again from the log, in"
            " an empty Postgres schema (MILLRACE_POSTGRES_DB_SCHEMA); or bring back the store that belongs to the log,"
            " or begin anew with a new folder for the log (MILLRACE_LOG_PATH) and a new schema"
        )


class OtherLogError(FatalError):
    """The event log was made for another ledger."""

    def __init__(self) -> None:
        super().__init__(
            "the event log has epochs of another stack: this ledger's were appended to another Delta table. Set"
            " MILLRACE_LOG_PATH to that one; if it is lost, name an empty folder: what Kafka still has goes there"
        )


class DefinitionsError(FatalError):
    """Tables of the store were made by other definitions than this version's."""


class LogSchemaError(FatalError):
    """The event log has columns that this version does not write, or others under the same names."""
