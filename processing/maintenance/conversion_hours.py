"""An hour of conversions: clicks on products in windows of five minutes, and the purchases that they led to."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from contracts.rollups import WINDOW_MINUTES
from processing.maintenance.cells import Cell
from processing.maintenance.making import Piece
from processing.store import Transaction

_WINDOW: Final = timedelta(minutes=WINDOW_MINUTES)

_CLICKS: Final = """
    INSERT INTO conversion_hours
      (window_start, product_id, bot, clicks, converted, purchases, late, last_epoch)
    SELECT $1::timestamptz, c.product_id, c.bot, count(*), count(c.purchase_id), count(DISTINCT c.purchase_id),
      count(*) FILTER (WHERE c.late) + count(DISTINCT c.purchase_id) FILTER (WHERE p.late), max(c.last_epoch)
    FROM conversions c LEFT JOIN conversions p ON p.user_id = c.user_id AND p.product_id = c.product_id
      AND p.happened_at = c.purchased_at AND p.event_id = c.purchase_id AND p.is_purchase
    WHERE NOT c.is_purchase AND c.happened_at >= $1 AND c.happened_at < $2 GROUP BY 2, 3
"""


def plan(transaction: Transaction, cell: Cell) -> list[Piece]:
    """See `processing.maintenance.making.Plan`."""
    transaction.execute(
        "DELETE FROM conversion_hours WHERE window_start >= $1 AND window_start < $2", (cell.starts_at, cell.ends_at)
    )
    windows = (cell.ends_at - cell.starts_at) // _WINDOW
    return [partial(_make, cell.starts_at + number * _WINDOW) for number in range(windows)]


def _make(window_start: datetime, transaction: Transaction) -> None:
    transaction.execute(_CLICKS, (window_start, window_start + _WINDOW))
