"""The books: every record has one fate, and every table agrees about it."""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry

from serving.cursors import EPOCHS, Key
from serving.queries import ResultRow
from serving.queries.books import balances, epochs_page
from serving.queries.paging import Page
from serving.schema.common import page_size
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.scalars import Long


@strawberry.type(description="Two sums that must be equal.")
class Check:
    name: str = strawberry.field(description="Stable name of the check.")
    meaning: str = strawberry.field(description="Which sums are compared.")
    left: Long = strawberry.field(description="The sum that is checked.")
    right: Long = strawberry.field(description="What it must be.")
    residue: Long = strawberry.field(description="`left` less `right`; 0 where the books close.")


@strawberry.type
class Fates:
    """What became of the records of one epoch, or of all."""

    records: Long = strawberry.field(description="Records read from the log.")
    applied: Long = strawberry.field(description="Events that every table counts.")
    duplicates: Long = strawberry.field(description="Records whose event had been applied before.")
    conflicts: Long = strawberry.field(description="Duplicates with another payload than the first.")
    quarantined: Long = strawberry.field(description="Records that do not decode to an event.")
    rejected: Long = strawberry.field(description="Records of events that the gateway refused.")
    late: Long = strawberry.field(description="Applied events that the watermark had passed.")
    imported: Long = strawberry.field(description="Applied events loaded with the import flag.")


@strawberry.type(description="A line of the ledger: one epoch, one transaction.")
class Epoch(Fates):
    epoch: Long = strawberry.field(description="Its number, from 1.")
    started_at: datetime = strawberry.field(description="When processing began with it.")
    committed_at: datetime = strawberry.field(description="When it was committed, by the database's clock.")
    duration: timedelta = strawberry.field(description="From its start to its commit.")
    freshness: timedelta = strawberry.field(description="From the broker's time of its newest event to its commit.")
    duration_seconds: float = strawberry.field(
        description="`duration` in seconds.", deprecation_reason="Use `duration`."
    )
    freshness_seconds: float = strawberry.field(
        description="`freshness` in seconds.", deprecation_reason="Use `freshness`."
    )
    watermark: datetime | None = strawberry.field(
        description="Event time before which everything is final as of it; null until there is one."
    )
    residue: Long = strawberry.field(
        description="`records` less applied, duplicates, quarantined and rejected; 0 where each had one fate."
    )
    log_version: Long | None = strawberry.field(
        description="Version of the Delta log that holds its events; null while that is not known yet."
    )


@strawberry.type(description="The ledger summed over all epochs.")
class Totals(Fates):
    erased: Long = strawberry.field(description="Applied events of users who were erased on request since.")
    log_rows: Long = strawberry.field(description="Events in Delta, up to and with epoch `logEpoch`.")
    log_epoch: Long = strawberry.field(description="Newest epoch known to be in Delta.")
    epoch: Long = strawberry.field(description="Newest epoch of these sums.")


async def _epochs(
    info: Info, first: Annotated[int, strawberry.argument(description="Most lines wanted.")] = 20
) -> list[Epoch]:
    rows = await info.context.snapshot.rows(epochs_page(Page(page_size("first", first, info))))
    return [_epoch(row) for row in rows]


async def _epochs_connection(
    info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
) -> Connection[Epoch]:
    which = Which(first, after, last, before)
    return await connection(info, EPOCHS, which, epochs_page, key=lambda row: Key(row.epoch, ()), node=_epoch)


@strawberry.type(
    description="Proof that no record is lost or counted twice: received = applied + duplicates + quarantined + "
    "rejected, and each table's own sum agrees. Late is a label, not a loss."
)
class Books:
    close: bool = strawberry.field(description="Whether every check has residue 0.")
    residue: Long = strawberry.field(description="Sum of the checks' residues without their sign.")
    checks: list[Check] = strawberry.field(description="Sums that must be equal.")
    totals: Totals = strawberry.field(description="What became of all records.")
    epochs: list[Epoch] = strawberry.field(
        resolver=_epochs, description="The newest lines of the ledger, newest first."
    )
    epochs_connection: Connection[Epoch] = strawberry.field(
        resolver=_epochs_connection, description="All lines of the ledger, newest first (Relay)."
    )


async def books(info: Info) -> Books | None:
    """Null before the first epoch."""
    rows = await info.context.snapshot.rows(balances())
    if not rows:
        return None
    checks = _checks(rows[0])
    residue = sum(abs(check.left - check.right) for check in checks)
    totals = {name: rows[0]._mapping[name] for name in Totals.__dataclass_fields__}
    return Books(close=residue == 0, residue=Long(residue), checks=checks, totals=Totals(**totals))


def _checks(row: ResultRow) -> list[Check]:
    fates = row.applied + row.duplicates + row.quarantined + row.rejected
    return [
        _check(
            "accepted", "Records that the gateway has answered for and that Kafka does not have = 0.", row.unstored, 0
        ),
        _check(
            "fates",
            "Records read = applied + duplicates + quarantined + rejected: each has exactly one fate.",
            row.records,
            fates,
        ),
        _check(
            "offsets",
            "Offsets the epochs moved over, all partitions = records read: none skipped, none read twice."
            " After a restore without those that only the lost ledger knew.",
            row.offset_span,
            row.records,
        ),
        _check("gaps", "Offsets missing between one epoch and the next = 0.", row.gaps, 0),
        _check(
            "minutes",
            "Events in the minutes the shop's numbers are made of = events applied, less those erased.",
            row.folded,
            row.applied - row.erased,
        ),
        _check(
            "log",
            "Events in the Delta log = events applied, less those erased, up to the newest epoch known to be in it.",
            row.log_rows,
            row.applied - row.erased - row.unlogged,
        ),
    ]


def _check(name: str, meaning: str, left: int, right: int) -> Check:
    return Check(name=name, meaning=meaning, left=Long(left), right=Long(right), residue=Long(left - right))


def _epoch(row: ResultRow) -> Epoch:
    counts = (
        "records",
        "applied",
        "duplicates",
        "conflicts",
        "quarantined",
        "rejected",
        "late",
        "imported",
        "log_version",
    )
    duration = max(timedelta(0), row.committed_at - row.started_at)
    freshness = max(timedelta(0), row.committed_at - row.newest_log_time)
    return Epoch(
        epoch=row.epoch,
        started_at=row.started_at,
        committed_at=row.committed_at,
        duration=duration,
        freshness=freshness,
        duration_seconds=duration.total_seconds(),
        freshness_seconds=freshness.total_seconds(),
        watermark=row.watermark,
        residue=Long(row.records - row.applied - row.duplicates - row.quarantined - row.rejected),
        **{name: row._mapping[name] for name in counts},
    )
