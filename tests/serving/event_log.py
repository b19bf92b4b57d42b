"""The shop's events as the Delta event log has them, with the columns that processing writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from processing.batch import EVENT_LOG
from tests.serving.events import Event


def write_log(home: Path, events: Sequence[Event], epoch: int, *, known: int = 0) -> None:
    """Make the log of a stack's home, or append to it: all but the events known before are applied by this epoch.

    The offset of an event is its place.
    """
    rows = [_row(event, offset, epoch) for offset, event in enumerate(events) if offset >= known]
    table = pa.Table.from_pylist(rows, EVENT_LOG)
    write_deltalake(str(home / "delta" / "events"), table, partition_by=["date"], mode="append")


def _row(event: Event, offset: int, epoch: int) -> dict[str, Any]:
    transaction = event.action in {"purchase", "refund"}
    row: dict[str, Any] = dict.fromkeys(EVENT_LOG.names)
    return row | {
        "date": event.at.date(),
        "epoch": epoch,
        "topic": "transactions" if transaction else "clickstream",
        "partition": 0,
        "offset": offset,
        "log_time": event.at + event.delay,
        "received_at": event.at + event.delay / 2,
        "source": "web",
        "imported": False,
        "late": event.late,
        "event_id": event.id,
        "timestamp": event.at,
        "user_id": event.user,
        "session_id": event.session,
        "product_id": event.product,
        "category": event.category,
        "page_url": event.page,
        "action": None if transaction else event.action,
        "kind": event.action if transaction else None,
        "amount": event.amount if transaction else None,
        "quantity": event.quantity if transaction else None,
        "currency": "USD" if transaction else None,
        "order_id": event.order,
        "bot": event.bot,
        "bot_score": event.bot_score,
        "bot_reason": "http_library" if event.bot_score else None,
        **(event.agent._asdict() if event.agent else {}),
        **(event.referral._asdict() if event.referral else {}),
    }
