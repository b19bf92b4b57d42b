"""Each event id counts once: a fold over the recent ids, decided in memory and written in the epoch's own transaction.

The first sighting of an id owns it; within an epoch that is the first in the order of topic, partition and offset.
Every later record with the id is a duplicate, and a conflict if its payload is another. Duplicates are written down, so
a replay of a committed epoch can look up what was decided. Ids older than the horizon are forgotten; a copy that late
would be counted again.

The table `seen_ids` says what memory must hold: memory changes after a commit, and is loaded anew after any fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.topics import ALL
from processing.packed_ids import Ids
from processing.recent_ids import RecentIds
from processing.store import Transaction

_TOPIC_ORDER: Final = pa.array([topic.name for topic in ALL])
_LOADED_TOGETHER: Final = 64
"""Epochs fetched at a time while ids are loaded: a few megabytes."""


@dataclass(frozen=True)
class Deduplicated:
    """An epoch's events told apart."""

    first: pa.Table
    """Events that own their id."""
    duplicates: pa.Table
    """Columns of the table `duplicates`."""
    fresh: Ids
    """The ids of `first`, sorted by key."""

    @property
    def conflicts(self) -> int:
        return int(pc.sum(self.duplicates["conflict"]).as_py() or 0)


def deduplicate(recent: RecentIds, events: pa.Table, epoch: int) -> Deduplicated:
    """Tell which events are the first with their id and which are duplicates of others. Both keep the events' order."""
    ids = Ids.of(events)
    order = _by_id_and_place(ids, events)
    ordered = ids.take(order)
    leads = np.ones(len(ids), np.bool_)
    leads[1:] = (ordered.keys[1:] != ordered.keys[:-1]) | (ordered.checks[1:] != ordered.checks[:-1])
    leaders = ordered.take(leads)  # each id of the epoch once
    before = recent.find(leaders)
    is_fresh = before.epochs == 0
    is_duplicate = np.ones(len(ids), np.bool_)
    is_duplicate[order[leads][is_fresh]] = False
    rows = np.flatnonzero(is_duplicate)
    leader = np.empty(len(ids), np.intp)
    leader[order] = np.cumsum(leads) - 1
    owner = leader[rows]
    first_epochs = np.where(is_fresh, epoch, before.epochs)
    payloads = np.where(is_fresh, leaders.payloads, before.payloads)
    copies = events.take(rows)
    return Deduplicated(
        first=events.filter(pa.array(~is_duplicate)) if len(rows) else events,
        duplicates=pa.table(
            {
                "topic": copies["topic"],
                "partition": copies["partition"],
                "offset": copies["offset"],
                "epoch": pa.repeat(pa.scalar(epoch, pa.int64()), len(rows)),
                "event_id": copies["event_id"],
                "conflict": pa.array(ids.payloads[rows] != payloads[owner]),
                "first_epoch": pa.array(first_epochs[owner], pa.int64()),
            }
        ),
        fresh=leaders.take(is_fresh),
    )


def write_ids(transaction: Transaction, epoch: int, fresh: Ids) -> None:
    """Write down the ids that the epoch saw first: one row."""
    if len(fresh):
        transaction.execute("INSERT INTO seen_ids (epoch, ids) VALUES ($1, $2)", (epoch, fresh.pack()))


def keep_duplicates(transaction: Transaction, duplicates: pa.Table) -> None:
    """Write the duplicates down: nothing that was accepted goes missing without a trace."""
    if duplicates.num_rows == 0:
        return
    transaction.load("epoch_duplicates", duplicates)
    columns = ", ".join(f'"{name}"' for name in duplicates.column_names)
    transaction.execute(f"INSERT INTO duplicates ({columns}) SELECT {columns} FROM epoch_duplicates")


def load_ids(transaction: Transaction) -> RecentIds:
    """All ids that are written down, in memory."""
    recent = RecentIds()
    recent.extend(_read_ids(transaction))
    return recent


def forget(transaction: Transaction, horizon_seconds: int) -> int:
    """Delete the ids of epochs that committed before the horizon.

    Returns the last of these epochs, 0 if there is none: what `RecentIds.forget` must be told after the commit.
    """
    (row,) = transaction.query(
        "SELECT coalesce(max(epoch), 0) AS epoch FROM epochs"
        " WHERE committed_at < clock_timestamp() - make_interval(secs => $1)",
        (float(horizon_seconds),),
    ).to_pylist()
    transaction.execute("DELETE FROM seen_ids WHERE epoch <= $1", (row["epoch"],))
    return int(row["epoch"])


def applied_before(transaction: Transaction, events: pa.Table, epoch: int) -> pa.Table:
    """The events among these that the committed epoch applied: all but the duplicates it has written down.

    Looked up and not decided anew, since the ids by which it was decided may have been forgotten.
    """
    written = transaction.query('SELECT topic, partition, "offset" FROM duplicates WHERE epoch = $1', (epoch,))
    duplicates = {(row["topic"], row["partition"], row["offset"]) for row in written.to_pylist()}
    places = zip(*(events[name].to_pylist() for name in ("topic", "partition", "offset")), strict=True)
    return events.filter(pa.array([place not in duplicates for place in places], pa.bool_()))


def _by_id_and_place(ids: Ids, events: pa.Table) -> npt.NDArray[np.intp]:
    """The order of the events by id, and within an id by topic, partition and offset."""
    topics = pc.index_in(events["topic"], value_set=_TOPIC_ORDER).to_numpy()
    places = (events["offset"].to_numpy(), events["partition"].to_numpy(), topics)
    return np.lexsort((*places, ids.checks, ids.keys))


def _read_ids(transaction: Transaction) -> Iterator[tuple[int, Ids]]:
    """The table `seen_ids`, oldest epoch first."""
    last = 0
    while True:
        rows = transaction.query(
            "SELECT epoch, ids FROM seen_ids WHERE epoch > $1 ORDER BY epoch LIMIT $2", (last, _LOADED_TOGETHER)
        )
        if rows.num_rows == 0:
            return
        for last, packed in zip(rows["epoch"].to_pylist(), rows["ids"], strict=True):
            yield last, Ids.unpack(packed.as_buffer())
