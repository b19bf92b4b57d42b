"""Each event id counts once: a fold over the recent ids, in the epoch's own transaction.

The first sighting of an id owns it: (epoch, topic, partition, offset). A record is a duplicate exactly when another
record owns its id, and duplicates are written down, so a replay of a committed epoch can look up what it decided. A
duplicate whose payload differs from the owner's is a conflict. Ids older than the horizon are forgotten; a copy that
late would be counted again.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from processing.batch import TOPIC_NUMBERS
from processing.store import Transaction

_OTHERS: Final = """
    SELECT d.ordinal, o.payload <> d.payload AS conflict, o.epoch, o.partition, o."offset"
    FROM epoch_ids d JOIN recent_ids o USING (id)
    WHERE (o.epoch, o.topic, o.partition, o."offset") <> ($1, d.topic, d.partition, d."offset")
"""


@dataclass(frozen=True)
class Deduplicated:
    """An epoch's events told apart."""

    first: pa.Table
    """Events that own their id."""
    duplicates: pa.Table
    """Columns of the table `duplicates`."""

    @property
    def conflicts(self) -> int:
        return int(pc.sum(self.duplicates["conflict"]).as_py() or 0)


def deduplicate(transaction: Transaction, events: pa.Table, epoch: int) -> Deduplicated:
    """Take ownership of the ids that nobody owns, and tell which events are duplicates of others."""
    ids = pa.table(
        {
            "ordinal": pa.array(range(events.num_rows), pa.int32()),
            "id": events["id_hash"].cast(pa.binary()),
            "payload": events["payload_hash"],
            "topic": pa.array([TOPIC_NUMBERS[name] for name in events["topic"].to_pylist()], pa.int16()),
            "partition": events["partition"],
            "offset": events["offset"],
        }
    )
    transaction.load("epoch_ids", ids)
    transaction.execute(
        'INSERT INTO recent_ids (id, payload, epoch, topic, partition, "offset")'
        ' SELECT DISTINCT ON (id) id, payload, $1, topic, partition, "offset"'
        ' FROM epoch_ids ORDER BY id, topic, partition, "offset" ON CONFLICT (id) DO NOTHING',
        (epoch,),
    )
    others = transaction.query(_OTHERS, (epoch,))
    if others.num_rows == 0:
        return Deduplicated(events, _duplicate_rows(events.slice(0, 0), others, epoch))
    is_duplicate = pc.is_in(ids["ordinal"], value_set=others["ordinal"].combine_chunks())
    return Deduplicated(
        first=events.filter(pc.invert(is_duplicate)),
        duplicates=_duplicate_rows(events.take(others["ordinal"]), others, epoch),
    )


def applied_before(transaction: Transaction, events: pa.Table, epoch: int) -> pa.Table:
    """The events among these that the committed epoch applied: all but the duplicates it has written down.

    Looked up and not decided anew, since the ids by which it was decided may have been forgotten.
    """
    written = transaction.query('SELECT topic, partition, "offset" FROM duplicates WHERE epoch = $1', (epoch,))
    duplicates = {(row["topic"], row["partition"], row["offset"]) for row in written.to_pylist()}
    places = zip(*(events[name].to_pylist() for name in ("topic", "partition", "offset")), strict=True)
    return events.filter(pa.array([place not in duplicates for place in places], pa.bool_()))


def forget(transaction: Transaction, horizon_seconds: int) -> None:
    """Delete the ids of epochs that committed before the horizon."""
    transaction.execute(
        "DELETE FROM recent_ids WHERE epoch <= (SELECT max(epoch) FROM epochs"
        " WHERE committed_at < clock_timestamp() - make_interval(secs => $1))",
        (float(horizon_seconds),),
    )


def keep_duplicates(transaction: Transaction, duplicates: pa.Table) -> None:
    """Write the duplicates down: nothing that was accepted goes missing without a trace."""
    if duplicates.num_rows == 0:
        return
    transaction.load("epoch_duplicates", duplicates)
    columns = ", ".join(f'"{name}"' for name in duplicates.column_names)
    transaction.execute(f"INSERT INTO duplicates ({columns}) SELECT {columns} FROM epoch_duplicates")


def _duplicate_rows(events: pa.Table, others: pa.Table, epoch: int) -> pa.Table:
    return pa.table(
        {
            "topic": events["topic"],
            "partition": events["partition"],
            "offset": events["offset"],
            "epoch": pa.repeat(pa.scalar(epoch, pa.int64()), events.num_rows),
            "event_id": events["event_id"],
            "conflict": others["conflict"],
            "first_epoch": others["epoch"],
            "first_partition": others["partition"],
            "first_offset": others["offset"],
        }
    )
