"""Fine rows that are no longer kept: dropped a cell at a time, once what they were summed up to is made.

What comes later still is not lost: minutes of an hour that has none any more are added to the hour, in the epoch's own
transaction. Conversions and paths cannot be added to; there, events older than the retention are in no roll-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from contracts.rollups import HOUR, roll_ups
from processing import ledger
from processing.maintenance.cells import Cell
from processing.maintenance.coarser import RollUp
from processing.maintenance.registry import Registry
from processing.merge import Merged, fold_in
from processing.projection import Projection
from processing.store import Transaction

_LOOK_EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Kept:
    """How long the fine rows of one grain are kept, and how those of a cell are dropped."""

    grain: str
    days: int
    statements: tuple[str, ...]
    """SQL with the cell's start and end as parameters."""


def kept_for(minutes: int | None, conversions: int | None, paths: int | None) -> tuple[Kept, ...]:
    """What to drop, from the days that each kind is kept; None keeps it for ever."""
    kinds = {
        "hour": (
            minutes,
            [
                *(_delete(name, "minute") for name in ("product_minutes", "category_minutes", "site_minutes")),
                _delete("category_windows", "window_start"),
            ],
        ),
        "delay_hour": (minutes, [_delete("delays", "minute")]),
        "conversion_hour": (conversions, [_delete(name, "happened_at") for name in ("conversions", "carts")]),
        "session_hour": (
            paths,
            ["UPDATE sessions SET path = '{}' WHERE started_at >= $1 AND started_at < $2 AND path <> '{}'"],
        ),
    }
    return tuple(Kept(grain, days, tuple(sql)) for grain, (days, sql) in kinds.items() if days is not None)


class Retention:
    """Drops what is older than it has to be."""

    def __init__(self, registry: Registry, kept: tuple[Kept, ...]) -> None:
        self._registry = registry
        self._kept = kept
        self._looked_at = -_LOOK_EVERY_SECONDS

    def drop_next(self, transaction: Transaction, watermark: datetime) -> Cell | None:
        """Drop the fine rows of one cell. Returns which, None if there was none."""
        if monotonic() - self._looked_at < _LOOK_EVERY_SECONDS:
            return None
        for kept in self._kept:
            cell = self._oldest(transaction, kept, watermark)
            if cell is not None:
                for sql in kept.statements:
                    transaction.execute(sql, (cell.starts_at, cell.ends_at))
                self._registry.fine_rows_dropped(transaction, cell)
                ledger.tell_change(transaction)
                return cell
        self._looked_at = monotonic()
        return None

    def _oldest(self, transaction: Transaction, kept: Kept, watermark: datetime) -> Cell | None:
        """The oldest hour that is old enough, and made; so is the day, where it is made of the hour."""
        rows = transaction.query(
            f"SELECT starts_at FROM {roll_ups.name} h WHERE grain = $1 AND NOT fine_gone AND NOT stale"
            f" AND starts_at < $2 AND (grain <> 'hour' OR EXISTS (SELECT FROM {roll_ups.name} d WHERE d.grain = 'day'"
            "  AND d.starts_at = date_trunc('day', h.starts_at, 'UTC') AND NOT d.stale)) ORDER BY starts_at LIMIT 1",
            (kept.grain, _midnight(watermark) - timedelta(days=kept.days)),
        )
        return Cell(rows["starts_at"][0].as_py().astimezone(UTC), kept.grain) if rows.num_rows else None


def add_to_hours(
    transaction: Transaction, registry: Registry, hours: tuple[RollUp, ...], merged: Sequence[Merged]
) -> None:
    """Add an epoch's minutes to their hours where those have no minutes any more, and drop the new ones as well."""
    for roll_up in hours:
        (written,) = [each.written for each in merged if each.projection.table is roll_up.fine] or [None]
        if written is None:
            continue
        starts = pc.floor_temporal(written["minute"], unit="hour")
        gone = registry.without_fine_rows(transaction, "hour", pc.unique(starts).to_pylist())
        if gone:
            old = pc.is_in(starts, pa.array(gone, starts.type))
            late = written.set_column(0, "hour", starts).filter(old)
            fold_in(transaction, Projection(roll_up.coarse, "", roll_up.fold), roll_up.combined(late))
        for hour in gone:
            transaction.execute(_delete(roll_up.fine.name, "minute"), (hour, hour + HOUR))


def _delete(table: str, time: str) -> str:
    return f"DELETE FROM {table} WHERE {time} >= $1 AND {time} < $2"


def _midnight(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
