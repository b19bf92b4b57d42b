"""The ledger: what each epoch read and what became of it, written in the epoch's own transaction.

It is the checkpoint as well. `Ledger.read` gives the offsets where the next epoch begins, and `commit` refuses an epoch
that does not begin where the last one ended, so no fault of Spark, of a disk or of a second processor can count twice.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

import pyarrow as pa

from contracts.tables import CHANGED, NOTIFY_CHANNEL
from processing.batch import Batch
from processing.errors import LogAheadError, OffsetRegressionError, OtherLogError
from processing.store import Transaction
from processing.watermark import PartitionTimes

Offsets: TypeAlias = dict[str, dict[int, int]]
"""Topic to partition to offset."""

TALLY: Final = ("records", "applied", "duplicates", "conflicts", "quarantined", "rejected", "late", "imported")


@dataclass(frozen=True)
class Position:
    """Where the ledger stands: the state from which the next epoch continues."""

    epoch: int = 0
    """The last committed epoch; 0 before the first."""
    watermark: datetime | None = None
    times: PartitionTimes = field(default_factory=dict)
    next_offsets: Offsets = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One epoch's line: counts by name of `TALLY`, and the state after it."""

    epoch: int
    started_at: datetime
    batch: Batch
    counts: dict[str, int]
    times: PartitionTimes
    watermark: datetime | None


def read_position(transaction: Transaction) -> Position:
    """The committed position."""
    last = transaction.query(
        "SELECT epoch, watermark, event_time_by_partition::text AS times FROM epochs ORDER BY epoch DESC LIMIT 1"
    ).to_pylist()
    offsets: Offsets = {}
    for row in transaction.query("SELECT topic, partition, next_offset FROM books").to_pylist():
        offsets.setdefault(row["topic"], {})[row["partition"]] = row["next_offset"]
    if not last:
        return Position(next_offsets=offsets)
    times = {name: (event_ms, log_ms) for name, (event_ms, log_ms) in json.loads(last[0]["times"]).items()}
    return Position(last[0]["epoch"], _utc(last[0]["watermark"]), times, offsets)


def offset_ranges(
    transaction: Transaction, after_epoch: int
) -> list[tuple[int, dict[str, dict[int, tuple[int, int]]]]]:
    """(epoch, topic to partition to (from, until)) of every epoch after the given one, oldest first."""
    rows = transaction.query(
        "SELECT epoch, offsets::text AS offsets FROM epochs WHERE epoch > $1 ORDER BY epoch", (after_epoch,)
    ).to_pylist()
    return [(row["epoch"], _ranges(row["offsets"])) for row in rows]


def watermark_before(transaction: Transaction, epoch: int) -> datetime | None:
    """The watermark by which that epoch's events were labelled late."""
    rows = transaction.query("SELECT watermark FROM epochs WHERE epoch = $1", (epoch - 1,)).to_pylist()
    return _utc(rows[0]["watermark"]) if rows else None


def write_entry(transaction: Transaction, entry: Entry, results_epoch: int | None = None) -> None:
    """Add the epoch's line, move the books forward and tell everyone who listens. Raises OffsetRegressionError.

    `results_epoch`: the results topic has every row through this epoch; None where nothing is published.
    """
    _advance_books(transaction, entry.batch.offsets)
    offsets: dict[str, dict[str, list[int]]] = {}
    for row in entry.batch.offsets.to_pylist():
        offsets.setdefault(row["topic"], {})[str(row["partition"])] = [row["from_offset"], row["until_offset"]]
    columns = ", ".join(TALLY)
    marks = ", ".join(f"${position}" for position in range(7, 7 + len(TALLY)))
    counts = [entry.counts[name] for name in TALLY]
    transaction.execute(
        "INSERT INTO epochs (epoch, started_at, newest_log_time, offsets, event_time_by_partition, watermark,"
        f" {columns}) VALUES ($1, $2, $3, $4::text::jsonb, $5::text::jsonb, $6, {marks})",
        (
            entry.epoch,
            entry.started_at,
            entry.batch.newest_log_time,
            json.dumps(offsets),
            json.dumps(entry.times),
            entry.watermark,
            *counts,
        ),
    )
    sums = ", ".join(f"{name} = {name} + ${position}" for position, name in enumerate(TALLY, start=2))
    if results_epoch is not None:
        sums += f", results_epoch = {results_epoch}"
    transaction.execute(f"UPDATE totals SET epoch = $1, {sums}", (entry.epoch, *counts))
    transaction.execute("SELECT pg_notify($1, $2)", (NOTIFY_CHANNEL, str(entry.epoch)))


def tell_change(transaction: Transaction) -> None:
    """Tell readers, once this is committed, that what they were told of the newest epoch may be other now.

    Also those who do not listen: the row is another one then. Until the commit, other changes wait here.
    """
    transaction.execute("UPDATE last_change SET token = gen_random_uuid()::text")
    transaction.execute("SELECT pg_notify($1, $2)", (NOTIFY_CHANNEL, CHANGED))


def note_log(transaction: Transaction, epoch: int, version: int, rows: int) -> None:
    """Note that the event log holds every epoch through this one, `rows` more events, as of this Delta version."""
    transaction.execute(
        "UPDATE epochs SET log_version = $1 WHERE epoch <= $2 AND log_version IS NULL", (version, epoch)
    )
    transaction.execute("UPDATE totals SET log_epoch = $1, log_rows = log_rows + $2", (epoch, rows))


def check_log(transaction: Transaction, identity: str, held: int) -> None:
    """See that the event log of this identity, which holds epochs through `held`, is the ledger's own.

    Raises LogAheadError, OtherLogError.
    """
    (known,) = transaction.query("SELECT epoch, log_id FROM totals").to_pylist()
    if held > known["epoch"]:
        raise LogAheadError(held, known["epoch"])
    if held and known["log_id"] not in {None, identity}:
        raise OtherLogError


def claim_log(transaction: Transaction, identity: str, held: int) -> None:
    """The same; an empty log becomes the ledger's own."""
    check_log(transaction, identity, held)
    transaction.execute("UPDATE totals SET log_id = $1", (identity,))


def residues(transaction: Transaction) -> dict[str, int]:
    """What each check of the books is off by, from the gateway to the rows of the event log; 0 where they close."""
    rows = transaction.query(
        "SELECT records - applied - duplicates - quarantined - rejected AS fates, span - records AS offsets, gaps,"
        " log_rows - applied + erased + unlogged AS log,"
        " (SELECT coalesce(sum(greatest(acknowledged - stored, 0)), 0)::bigint FROM tallies) AS accepted FROM totals,"
        " (SELECT coalesce(sum(next_offset - first_offset - unknown), 0)::bigint AS span,"
        "  coalesce(sum(gaps), 0)::bigint AS gaps FROM books) moved,"
        " LATERAL (SELECT coalesce(sum(applied), 0)::bigint AS unlogged FROM epochs WHERE epoch > log_epoch) waiting"
    ).to_pylist()
    return dict(rows[0])


def _advance_books(transaction: Transaction, offsets: pa.Table) -> None:
    """Compare and set: each partition must continue at or after the end that the books know."""
    transaction.load("epoch_offsets", offsets)
    moved = transaction.query(
        "INSERT INTO books AS b (topic, partition, first_offset, next_offset, records)"
        " SELECT topic, partition, from_offset, until_offset, records FROM epoch_offsets"
        " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset,"
        "  records = b.records + excluded.records, gaps = b.gaps + excluded.first_offset - b.next_offset"
        " WHERE b.next_offset <= excluded.first_offset RETURNING topic"
    )
    if moved.num_rows != offsets.num_rows:
        raise OffsetRegressionError(
            "this epoch begins before the ledger's end; its records are applied already and were not applied again"
        )


def _ranges(text: str) -> dict[str, dict[int, tuple[int, int]]]:
    return {
        topic: {int(partition): (span[0], span[1]) for partition, span in partitions.items()}
        for topic, partitions in json.loads(text).items()
    }


def _utc(instant: datetime | None) -> datetime | None:
    return instant.astimezone(UTC) if instant is not None else None


def set_log(transaction: Transaction, epoch: int, rows: int) -> None:
    """State what the event log holds, counted from the log itself."""
    transaction.execute("UPDATE totals SET log_epoch = $1, log_rows = $2", (epoch, rows))
