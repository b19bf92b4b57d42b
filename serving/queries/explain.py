"""What became of the records with one event id, besides what the event log says."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Integer,
    LargeBinary,
    Text,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from contracts.payloads import spellings
from contracts.projections import conversions
from contracts.tables import duplicates, epochs, quarantine, rejected_events, totals
from serving.queries import Statement

_COLUMNS: dict[str, Any] = {
    "verdict": Text,
    "topic": Text,
    "partition": Integer,
    "offset": BigInteger,
    "epoch": BigInteger,
    "arrived_at": DateTime(timezone=True),
    "source": Text,
    "reason": Text,
    "pointer": Text,
    "detail": Text,
    "rejection_id": Text,
    "first_epoch": BigInteger,
}


def copies(event_id: str, applied: Sequence[Mapping[str, Any]]) -> Statement:
    """A row per record: those applied, which the caller has found in the log, and those kept for another reason.

    Each has its epoch's commit, and `unlogged`: how many epochs the log does not hold yet. Without any record there is
    one row, whose `verdict` is null. A quarantined record may not have an id: those that hold its text are told.
    """
    again, refused, held = duplicates, rejected_events, quarantine
    named = ("topic", "partition", "offset", "epoch", "source")
    found = [
        *(_row("applied", **{name: row[name] for name in named}, arrived_at=row["log_time"]) for row in applied),
        _row(
            case((again.c.conflict, "conflict"), else_="duplicate"), **_place(again), first_epoch=again.c.first_epoch
        ).where(again.c.event_id == event_id),
        _row(
            "rejected",
            **_place(refused),
            arrived_at=refused.c.received_at,
            **{name: refused.c[name] for name in ("source", "reason", "pointer", "detail", "rejection_id")},
        ).where(refused.c.event_id == event_id),
        _row("quarantined", **_place(held), arrived_at=held.c.log_time, reason=held.c.reason).where(
            or_(*(func.pg_catalog.position(held.c.raw, literal(text, LargeBinary)) > 0 for text in spellings(event_id)))
        ),
    ]
    records = union_all(*found).subquery("records")
    state = select((totals.c.epoch - totals.c.log_epoch).label("unlogged")).subquery("state")
    return (
        select(*records.c, epochs.c.committed_at, epochs.c.log_version, state.c.unlogged)
        .select_from(state.outerjoin(records, true()).outerjoin(epochs, epochs.c.epoch == records.c.epoch))
        .order_by(records.c.epoch, records.c.topic, records.c.partition, records.c.offset)
    )


def conversion_of(event_id: str, user_id: str, product_id: str) -> Statement:
    """The click or purchase of this id with what it is linked to: the rows of both."""
    table = conversions
    return (
        select(table.c.event_id, table.c.is_purchase, table.c.purchase_id)
        .where(
            table.c.user_id == user_id,
            table.c.product_id == product_id,
            ~table.c.is_purchase,
            or_(table.c.event_id == event_id, table.c.purchase_id == event_id),
        )
        .order_by(table.c.happened_at, table.c.event_id)
    )


def _row(verdict: Any, **columns: Any) -> Statement:
    known = {"verdict": verdict, **columns}
    return select(*(cast(known.get(name), kind).label(name) for name, kind in _COLUMNS.items()))


def _place(table: Any) -> dict[str, Any]:
    return {name: table.c[name] for name in ("topic", "partition", "offset", "epoch")}
