"""How far the watch has looked, and what there is to look at."""

from datetime import UTC
from typing import Any

from processing.detection.flags import Seen
from processing.store import Transaction


def tables_missing(transaction: Transaction) -> bool:
    """Whether processing has not made the tables yet. They are made in one transaction, so one stands for all."""
    (found,) = transaction.query("SELECT to_regclass('watched') IS NOT NULL AS there")["there"].to_pylist()
    return not found


def read_watched(transaction: Transaction) -> Seen | None:
    """What was looked at last; None before the first time."""
    rows = transaction.query(
        "SELECT epoch, watermark, coalesce(making, 0) AS making FROM watched WHERE watermark IS NOT NULL"
    ).to_pylist()
    return _seen(rows[0]) if rows else None


def read_committed(transaction: Transaction) -> Seen | None:
    """The newest epoch; None before the first one with a watermark."""
    rows = transaction.query(
        "SELECT epoch, watermark, (SELECT coalesce(max(making), 0) FROM roll_ups) AS making"
        " FROM epochs ORDER BY epoch DESC LIMIT 1"
    ).to_pylist()
    return _seen(rows[0]) if rows and rows[0]["watermark"] is not None else None


def write_watched(transaction: Transaction, seen: Seen) -> None:
    """Note that this was looked at."""
    transaction.execute(
        "INSERT INTO watched (epoch, watermark, making, at) VALUES ($1, $2, $3, clock_timestamp())"
        " ON CONFLICT (singleton) DO UPDATE"
        " SET epoch = excluded.epoch, watermark = excluded.watermark, making = excluded.making, at = excluded.at",
        (seen.epoch, seen.watermark, seen.making),
    )


def _seen(row: dict[str, Any]) -> Seen:
    return Seen(row["epoch"], row["watermark"].astimezone(UTC), row["making"])
