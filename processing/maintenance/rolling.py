"""Roll-ups kept up with the stream: an epoch says what it has touched, and between epochs cells are made, bit by bit.

Both run on the epochs' thread and through its connection, so that no fold happens while a cell is made. A fault here
never stops the stream: what was begun is rolled back or stale, and is made later.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from time import monotonic, perf_counter
from typing import Final

import structlog

from contracts.settings import ShopSettings
from processing import gate
from processing.errors import ProcessingError
from processing.maintenance import coarser, conversion_hours, session_hours
from processing.maintenance.cells import Cell, grains
from processing.maintenance.making import Making, Plan
from processing.maintenance.metrics import MaintenanceMetrics
from processing.maintenance.registry import Registry
from processing.maintenance.retention import Kept, Retention, add_to_hours
from processing.merge import Merged
from processing.projection import Projection
from processing.store import Store, Transaction

log = structlog.get_logger()

_QUEUED: Final = 50
"""Cells that are looked for at a time."""
_REST_SECONDS: Final = 30.0


class RollUps:
    """Makes the cells that are due."""

    def __init__(
        self,
        store: Store,
        projections: tuple[Projection, ...],
        shop: ShopSettings,
        metrics: MaintenanceMetrics,
        *,
        kept: tuple[Kept, ...] = (),
        again_seconds: float,
        step_seconds: float = 0.2,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._again_seconds = again_seconds
        self._step_seconds = step_seconds
        self.registry = Registry(grains(shop))
        self._retention = Retention(self.registry, kept)
        coarse = coarser.roll_ups(projections)
        self._hours = coarse["hour"]
        self._plans: dict[str, Plan] = {
            **{grain: partial(coarser.plan, of_grain) for grain, of_grain in coarse.items()},
            "session_hour": session_hours.plan,
            "conversion_hour": conversion_hours.plan,
        }
        self._making: Making | None = None
        self._queue: deque[Cell] = deque()
        self._rest_until = 0.0
        self.has_more = False
        """Whether the last step ended with cells left that are due."""

    def note(self, transaction: Transaction, merged: Sequence[Merged]) -> None:
        """Mark stale what an epoch has touched, in its own transaction, after its merges."""
        add_to_hours(transaction, self.registry, self._hours, merged)
        self.registry.note(transaction, merged)

    def work(self, epoch: int, watermark: datetime | None) -> None:
        """`step` for the stream: a fault is logged and counted, and a while passes before the next try."""
        if monotonic() < self._rest_until:
            return
        try:
            with self._metrics.timed("roll_up"):
                self.has_more = self.step(epoch, watermark)
        except ProcessingError:
            raise
        except Exception as error:
            self.has_more, self._rest_until = False, monotonic() + _REST_SECONDS
            log.warning("roll_up_failed", error=f"{type(error).__name__}: {error}"[:1000], rest_seconds=_REST_SECONDS)

    def step(self, epoch: int, watermark: datetime | None) -> bool:
        """Make cells for a short while; `epoch` and `watermark` are those last committed. Returns whether any is left.

        Raises what the database raises; what was in the making is then begun anew.
        """
        if watermark is None:
            return False
        begun = perf_counter()
        try:
            with self._store.transaction() as transaction:
                gate.enter(transaction)
                while perf_counter() - begun < self._step_seconds:
                    if not self._go_on(transaction, epoch, watermark):
                        return False
        except BaseException:
            self._making = None
            self._queue.clear()
            self.registry.forget()
            raise
        return True

    def _go_on(self, transaction: Transaction, epoch: int, watermark: datetime) -> bool:
        """Do one piece of work. Returns False when there was none."""
        if self._making is None:
            cell = self._next(transaction, watermark)
            if cell is None:
                dropped = self._retention.drop_next(transaction, watermark)
                if dropped is not None:
                    self._metrics.observe_dropped(dropped)
                return dropped is not None
            self._making = Making(self.registry, cell, self._plans[cell.grain])
        making = self._making
        done = making.go_on(transaction, epoch, watermark)
        if done is not None:
            self._making = None
        if done:
            self._metrics.observe_made(making.cell)
        return True

    def _next(self, transaction: Transaction, watermark: datetime) -> Cell | None:
        """The cell to be made next."""
        if not self._queue:
            due = self.registry.due(transaction, watermark, self._again_seconds)
            self._metrics.observe_due(due, watermark)
            self._queue.extend(due[:_QUEUED])
        while self._queue:
            cell = self._queue.popleft()
            if self.registry.is_ready(transaction, cell, watermark):  # it may have been found some epochs ago
                return cell
        return None
