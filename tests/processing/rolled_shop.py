"""A shop whose epochs are folded by hand into real tables, with roll-ups made between them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts import rollups
from contracts.settings import ShopSettings
from processing.maintenance.cells import Cell
from processing.maintenance.retention import Kept
from processing.maintenance.rolling import RollUps
from processing.merge import fold_in
from processing.metrics import EpochMetrics
from processing.store import Store, Transaction
from tests.processing.builders import START_MS, at, click
from tests.processing.emptied import empty
from tests.processing.expected import Rows, names, spelled
from tests.processing.folding import PROJECTIONS, deltas
from tests.processing.log_rows import Row, logged

HOUR_MS: Final = 3_600_000
LONG_AFTER: Final = at(START_MS + 30 * 24 * HOUR_MS)
TABLES: Final = [table.name for tables in rollups.TABLES.values() for table in tables]


@dataclass
class Shop:
    """Epochs folded by hand, and roll-ups between them."""

    store: Store
    roll_ups: RollUps
    epoch: int = 0
    log: list[Row] = field(default_factory=list)

    def fold(self, *parts: Iterable[Row]) -> None:
        """Fold parts in, an epoch each."""
        for part in parts:
            self.epoch += 1
            rows = [row | {"epoch": self.epoch} for row in part]
            self.log += rows
            found = deltas(rows)
            with self.store.transaction() as transaction:
                merged = [fold_in(transaction, p, found[p.name]) for p in PROJECTIONS if p.name in found]
                self.roll_ups.note(transaction, merged)

    def make(self, watermark: datetime = LONG_AFTER) -> None:
        """Make all that is due."""
        while self.roll_ups.step(self.epoch, watermark):
            pass

    def held(self) -> dict[str, Rows]:
        """Every roll-up as it is."""
        with self.store.transaction() as transaction:
            return {name: rows_of(transaction, name) for name in TABLES}

    def usable(self) -> set[Cell]:
        """The cells that a reader may use."""
        with self.store.transaction() as transaction:
            rows = transaction.query("SELECT grain, starts_at FROM roll_ups WHERE NOT stale").to_pylist()
        return {Cell(row["starts_at"].astimezone(UTC), row["grain"]) for row in rows}

    def query(self, sql: str) -> list[dict[str, Any]]:
        with self.store.transaction() as transaction:
            rows: list[dict[str, Any]] = transaction.query(sql).to_pylist()
        return rows


def rows_of(transaction: Transaction, name: str) -> Rows:
    return spelled(name, transaction.query(f"SELECT * FROM {name}"))


def a_shop(store: Store, step_seconds: float = 3600.0, kept: tuple[Kept, ...] = ()) -> Shop:
    metrics = EpochMetrics().maintenance
    roll_ups = RollUps(
        store, PROJECTIONS, ShopSettings(), metrics, kept=kept, again_seconds=0, step_seconds=step_seconds
    )
    return Shop(store, roll_ups)


def emptied(tables: Store) -> Store:
    with tables.transaction() as transaction:
        empty(transaction, (*names(), *TABLES, "roll_ups"))
    return tables


def one_piece(shop: Shop, watermark: datetime) -> None:
    with shop.store.transaction() as transaction:
        shop.roll_ups._go_on(transaction, shop.epoch, watermark)


def clicks_at(*hours: float) -> list[Row]:
    return [
        logged(click(f"e{hour}", timestamp=START_MS + int(hour * HOUR_MS), session_id=f"s{hour}")) for hour in hours
    ]


def grains_made(shop: Shop) -> dict[str, list[float]]:
    """Start of every cell that may be used, by grain, in hours from the start of the day of `START_MS`."""
    found: dict[str, list[float]] = {}
    for cell in sorted(shop.usable()):
        found.setdefault(cell.grain, []).append((cell.starts_at - at(START_MS)) / timedelta(hours=1))
    return found
