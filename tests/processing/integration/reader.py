"""What a processor has written, read from beside it, as serving does."""

from typing import Any

import pyarrow as pa
from adbc_driver_postgresql import dbapi

from contracts import projections
from contracts.settings import PostgresSettings
from processing.arrow_types import typed
from processing.ledger import TALLY
from tests.processing.expected import Rows, spelled


class Reader:
    """Reads the tables of one schema."""

    def __init__(self, postgres: PostgresSettings) -> None:
        self._schema = postgres.db_schema
        self._connection = dbapi.connect(postgres.url.get_secret_value(), autocommit=True)
        self.query("SELECT set_config('TimeZone', 'UTC', false), set_config('search_path', $1, false)", self._schema)

    def query(self, sql: str, *parameters: str) -> list[dict[str, Any]]:
        """Rows of a statement."""
        rows: list[dict[str, Any]] = self._table(sql, *parameters).to_pylist()
        return rows

    def totals(self) -> dict[str, int]:
        """The ledger's counts."""
        (row,) = self.query(f"SELECT {', '.join(TALLY)} FROM totals")
        return row

    def epochs(self) -> tuple[int, int, int]:
        """Last epoch committed, last epoch in the event log, rows in the event log."""
        (row,) = self.query("SELECT epoch, log_epoch, log_rows FROM totals")
        return row["epoch"], row["log_epoch"], row["log_rows"]

    def has_read(self, records: int) -> bool:
        """Whether so many records are in the ledger. More will never be that many."""
        return self.totals()["records"] == records

    def held(self) -> dict[str, Rows]:
        """Every projection's table in the spelling of `expected`."""
        return {
            table.name: spelled(table.name, typed(self._table(f"SELECT * FROM {table.name}"), table))
            for table in projections.ALL
        }

    def end_processors_connection(self) -> int:
        """Terminate the backend that holds the writer's lock of this schema; returns how many there were."""
        rows = self.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0)",
            f"millrace-processing:{self._schema}",
        )
        return len(rows)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _table(self, sql: str, *parameters: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters=parameters or None)
            return cursor.fetch_arrow_table()
