"""What changes rows outside of an epoch tells readers so, in the transaction that does it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from contracts.tables import CHANGED, NOTIFY_CHANNEL
from processing.erase import receipt
from processing.maintenance.registry import Registry
from processing.maintenance.retention import Retention, kept_for
from processing.store import Transaction

pytestmark = pytest.mark.unit

TOLD = ("SELECT pg_notify($1, $2)", (NOTIFY_CHANNEL, CHANGED))
"""To those who listen; in the row to those who do not."""
IN_THE_ROW = ("UPDATE last_change SET token = gen_random_uuid()::text", ())


class Recorded:
    """A transaction that notes what is executed; queries find the rows it was given."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.executed: list[tuple[str, Any]] = []
        self._rows = rows

    def execute(self, sql: str, parameters: Any = ()) -> None:
        self.executed.append((sql, parameters))

    def query(self, _sql: str, _parameters: Any = ()) -> pa.Table:
        return pa.Table.from_pylist(self._rows)


def test_a_step_of_an_erasure() -> None:
    transaction = Recorded([])
    receipt.note(cast("Transaction", transaction), "u-1", {"rows": {"users": 1}})
    assert {TOLD, IN_THE_ROW} <= set(transaction.executed)


@pytest.mark.parametrize("old", [True, False])
def test_a_drop_of_old_minutes(old: bool) -> None:
    transaction = Recorded([{"starts_at": datetime(2026, 1, 1, tzinfo=UTC)}] if old else [])
    retention = Retention(Registry(()), kept_for(30, None, None))
    retention.drop_next(cast("Transaction", transaction), datetime(2026, 3, 1, tzinfo=UTC))
    assert (TOLD in transaction.executed, IN_THE_ROW in transaction.executed) == (old, old)


def test_nobody_tells_of_a_change_without_the_row() -> None:
    """Whoever sends the notice by hand would leave what replicas share as it was."""
    root = Path(__file__).resolve().parents[3] / "processing"
    assert [path.name for path in root.rglob("*.py") if "CHANGED" in path.read_text("utf-8")] == ["ledger.py"]
