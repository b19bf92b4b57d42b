"""What the results topic may lack: rows of the newest epochs, and word of rows that went. Published again at a start.

A row is known by its `last_epoch`, held against `totals.results_epoch`, which each epoch's transaction writes along. Of
a row that went nothing is left in its table: its key is kept in `tombstones` until a later epoch knows it delivered.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from processing.arrow_types import typed
from processing.merge import Merged
from processing.projection import Projection
from processing.results import ResultsPublisher, keys_gone
from processing.store import Transaction


class Undelivered:
    """The store's side of what a publisher still has to deliver. One thread's."""

    def __init__(self, results: ResultsPublisher) -> None:
        self._results = results
        self._has_tombstones = False

    def publish(self, transaction: Transaction, projections: Iterable[Projection]) -> None:
        """Publish all that the topic may lack. Reads every table once, which takes seconds for millions of rows."""
        (state,) = transaction.query("SELECT epoch, results_epoch FROM totals").to_pylist()
        keys = transaction.query("SELECT key FROM tombstones ORDER BY epoch")["key"].to_pylist()
        self._has_tombstones = bool(keys)
        self._results.begin(state["results_epoch"])
        self._results.bury(keys)
        for projection in projections if state["results_epoch"] < state["epoch"] else ():
            newer = f"SELECT * FROM {projection.name} WHERE last_epoch > {state['results_epoch']}"
            for rows in transaction.stream(newer):
                self._results.publish_rows(projection, typed(pa.Table.from_batches([rows]), projection.table))
        self._results.published_through(state["epoch"])

    def keep(self, transaction: Transaction, epoch: int, merged: Sequence[Merged]) -> int:
        """In an epoch's transaction: keep the keys of rows that go.

        Returns the epoch through which the topic has everything.
        """
        delivered = self._results.delivered
        if self._has_tombstones:
            transaction.execute("DELETE FROM tombstones WHERE epoch <= $1", (delivered,))
            self._has_tombstones = transaction.query("SELECT FROM tombstones LIMIT 1").num_rows > 0
        keys = [key for each in merged for key in keys_gone(each)]
        if keys:
            numbered = pa.table({"epoch": pa.repeat(pa.scalar(epoch, pa.int64()), len(keys)), "key": keys})
            transaction.load("epoch_tombstones", numbered)
            transaction.execute("INSERT INTO tombstones (epoch, key) SELECT epoch, key FROM epoch_tombstones")
            self._has_tombstones = True
        return delivered
