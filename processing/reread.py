"""Committed epochs read again from Kafka, by the offsets and the duplicates that the ledger has of them.

What comes out is what the epoch appended, or would have appended, to the event log: the same rows in every column,
without those of users who were erased since.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa

from processing import ledger
from processing.batch import Batch, event_rows
from processing.decode import Decoder
from processing.dedupe import applied_before
from processing.enrichment.enrich import Enricher
from processing.erased import ErasedUsers
from processing.judge import Judge
from processing.source import Ranges
from processing.store import Transaction


class EpochReader:
    """Reads epochs again. `read` fetches ranges of records, as `processing.source.read_ranges` does."""

    def __init__(self, decoder: Decoder, judge: Judge, enricher: Enricher, read: Callable[[Ranges], pa.Table]) -> None:
        self._decoder = decoder
        self._judge = judge
        self._enricher = enricher
        self._read = read

    def read(self, ranges: Ranges) -> Batch:
        """The records of these ranges, judged. Raises LogGapError, RetryableError."""
        return self._judge.judge(self._decoder.decode(self._read(ranges)))

    def epochs_after(self, transaction: Transaction, epoch: int) -> Iterator[tuple[int, pa.Table]]:
        """Every epoch of the ledger after the given one, oldest first, with its events in the columns of the log.

        Raises LogGapError where Kafka no longer has the records, RetryableError while the broker does not answer.
        """
        erased = ErasedUsers()
        erased.learn(transaction)
        for number, ranges in ledger.offset_ranges(transaction, epoch):
            batch = self.read(ranges)
            applied = erased.without(applied_before(transaction, batch.events, number))
            mark = ledger.watermark_before(transaction, number)
            yield number, event_rows(applied, number, mark, self._enricher)
