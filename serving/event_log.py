"""One event in the Delta event log, read as any reader of Delta may: its files, by DuckDB, off the event loop."""

import asyncio
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from serving.errors import Unavailable

_COLUMNS: Final = (
    "topic", "partition", "offset", "epoch", "log_time", "received_at", "source", "imported", "late", "event_id",
    "timestamp", "user_id", "session_id", "product_id", "category", "action", "page_url", "amount", "quantity",
    "order_id", "currency", "kind", "bot", "bot_score", "bot_reason",
)  # fmt: skip
_LIMITS: Final[dict[str, str | bool | int | float | list[str]]] = {"threads": "1", "memory_limit": "512MB"}


class EventLog:
    """The table `events` below a folder. One look-up at a time: each reads the ids of the whole log."""

    def __init__(self, path: Path) -> None:
        self._table = path / "events"
        self._turn = asyncio.Lock()

    async def find(self, event_id: str, epoch: int) -> list[dict[str, Any]]:
        """Its rows of epochs up to this one, by column: none, one, or one of each topic.

        Raises:
            Unavailable: there is no log where serving looks for it, or it is just being rewritten.
        """
        async with self._turn:
            duck = duckdb.connect(config=_LIMITS)
            reading = asyncio.create_task(asyncio.to_thread(self._read, duck, event_id, epoch))
            try:
                return await asyncio.shield(reading)
            except asyncio.CancelledError:
                duck.interrupt()  # nobody waits for it any more
                raise
            except (TableNotFoundError, DeltaError, duckdb.IOException) as error:
                raise Unavailable("The event log cannot be read from here just now.") from error
            finally:
                await asyncio.wait([reading])
                duck.close()

    def _read(self, duck: duckdb.DuckDBPyConnection, event_id: str, epoch: int) -> list[dict[str, Any]]:
        table = DeltaTable(str(self._table))
        paths = [str(self._table / name) for name in pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()]
        if not paths:
            return []
        listed = ", ".join(f'"{name}"' for name in _COLUMNS)
        duck.execute("SET TimeZone = 'UTC'")
        rows: list[dict[str, Any]] = (
            duck.sql(
                f"SELECT {listed} FROM read_parquet($paths, union_by_name=true, hive_partitioning=false)"  # noqa: S608 - constants
                " WHERE event_id = $id AND epoch <= $epoch ORDER BY topic",
                params={"paths": paths, "id": event_id, "epoch": epoch},
            )
            .to_arrow_table()
            .to_pylist()
        )
        return rows
