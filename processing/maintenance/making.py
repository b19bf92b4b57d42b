"""A cell in the making: claimed, made piece by piece, and settled; or given up when somebody touches it meanwhile."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from processing.maintenance.cells import Cell
from processing.maintenance.registry import Registry
from processing.store import Transaction

Piece: TypeAlias = Callable[[Transaction], datetime | None]
"""A bounded part of the work on a cell. Returns until when the rows reach that it has met, where rows reach on."""
Plan: TypeAlias = Callable[[Transaction, Cell], list[Piece]]
"""Takes away what there is of a cell and says what is to be done; whoever is first to touch it begins with that."""


class Making:
    """The work on one cell. Pieces may lie in transactions of their own: until the last of them the cell is stale."""

    def __init__(self, registry: Registry, cell: Cell, plan: Plan) -> None:
        self.cell = cell
        self._registry = registry
        self._plan = plan
        self._pieces: deque[Piece] | None = None
        self._marks = 0

    def go_on(self, transaction: Transaction, epoch: int, watermark: datetime) -> bool | None:
        """Do the next piece. Returns True when the cell is made, False when it is given up, None for neither yet."""
        if self._pieces is None:
            self._marks = self._registry.claim(transaction, self.cell)
            self._pieces = deque(self._plan(transaction, self.cell))
        elif not self._registry.is_untouched(transaction, self.cell, self._marks):
            return False
        if self._pieces:
            reaches = self._pieces.popleft()(transaction)
            if reaches is not None:
                self._registry.reaches(self.cell, reaches)
                if not self._registry.is_settled(self.cell, watermark):
                    return False
        if self._pieces:
            return None
        self._registry.settle(transaction, self.cell, epoch)
        return True
