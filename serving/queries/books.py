"""The books: the ledger's totals against what the other tables hold."""

from functools import cache

from sqlalchemy import BigInteger, func, select

from contracts.projections import site_minutes
from contracts.rollups import roll_ups, site_hours
from contracts.tables import books, epochs, tallies, totals
from serving.queries import Statement
from serving.queries.paging import Page, paged


@cache
def balances() -> Statement:
    """One row: the totals, and each sum that a check compares them with. No row before the first epoch.

    The log is compared without summing the whole ledger: `totals` has the sum at `epoch`, and only the epochs
    after `log_epoch` (those whose append is still under way) are taken off it. Bots count here: the books are about
    every record, and hours whose minutes are no longer kept stand for those.
    """
    offsets = select(
        func.coalesce(func.sum(books.c.next_offset - books.c.first_offset - books.c.unknown), 0)
        .cast(BigInteger)
        .label("span"),
        func.coalesce(func.sum(books.c.gaps), 0).cast(BigInteger).label("gaps"),
    ).subquery("offsets")
    minutes = select(func.coalesce(func.sum(site_minutes.c.events), 0)).scalar_subquery()
    hours_alone = (
        select(func.coalesce(func.sum(site_hours.c.events), 0))
        .join(roll_ups, (roll_ups.c.starts_at == site_hours.c.hour) & (roll_ups.c.grain == "hour"))
        .where(roll_ups.c.fine_gone)
        .scalar_subquery()
    )
    folded = (minutes + hours_alone).cast(BigInteger)
    unlogged = (
        select(func.coalesce(func.sum(epochs.c.applied), 0).cast(BigInteger))
        .where(epochs.c.epoch > totals.c.log_epoch)
        .scalar_subquery()
        .correlate(totals)
    )
    lost = func.greatest(tallies.c.acknowledged - tallies.c.stored, 0)
    unstored = select(func.coalesce(func.sum(lost), 0).cast(BigInteger)).scalar_subquery()
    return select(
        totals.c.epoch,
        totals.c.records,
        totals.c.applied,
        totals.c.duplicates,
        totals.c.conflicts,
        totals.c.quarantined,
        totals.c.rejected,
        totals.c.late,
        totals.c.imported,
        totals.c.erased,
        totals.c.log_rows,
        totals.c.log_epoch,
        offsets.c.span.label("offset_span"),
        offsets.c.gaps,
        folded.label("folded"),
        unlogged.label("unlogged"),
        unstored.label("unstored"),
    ).join_from(totals, offsets, offsets.c.gaps.is_not(None))


def epochs_page(page: Page) -> Statement:
    """Lines of the ledger, the newest first."""
    lines = select(
        epochs.c.epoch,
        epochs.c.started_at,
        epochs.c.committed_at,
        epochs.c.newest_log_time,
        epochs.c.watermark,
        epochs.c.records,
        epochs.c.applied,
        epochs.c.duplicates,
        epochs.c.conflicts,
        epochs.c.quarantined,
        epochs.c.rejected,
        epochs.c.late,
        epochs.c.imported,
        epochs.c.log_version,
    )
    return paged(lines, (epochs.c.epoch,), page)
