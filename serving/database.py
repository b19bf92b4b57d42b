"""Postgres as serving sees it: a small pool, a read-only snapshot per operation, the newest commit that is known."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
from sqlalchemy import func, select
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

import contracts.alerts
import contracts.models
import contracts.projections  # noqa: F401 - they join the metadata
from contracts.settings import PostgresSettings
from contracts.tables import metadata
from serving.pool import BEGIN_WRITING, Pool
from serving.queries import ResultRow
from serving.settings import ServingSettings
from serving.snapshot import EpochRow, Snapshot


class _Record(asyncpg.Record):  # type: ignore[misc]  # asyncpg leaves it untyped
    """A row whose columns are its attributes, too."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def _mapping(self) -> "_Record":
        return self

    @property
    def _fields(self) -> tuple[str, ...]:
        return tuple(self.keys())


class Database:
    """The serving store. Connects when first asked and again after it was away; never on construction."""

    def __init__(self, postgres: PostgresSettings, serving: ServingSettings) -> None:
        self._postgres = postgres
        self._serving = serving
        self.pool = Pool(self.connect, serving.pool_size, serving.pool_timeout_seconds)
        self.newest: EpochRow | None = None
        """The newest epoch when it was last read."""

    def snapshot(self, known: EpochRow | None = None) -> Snapshot:
        """A snapshot not yet taken: a transaction, or the state that is known. The caller closes it."""
        return Snapshot(self, known=known)

    async def connect(self) -> Any:
        """A connection of its own, outside the pool, as the epoch feed needs it.

        Raises:
            OSError, asyncpg.PostgresError: the database is not reachable.
        """
        connection = await asyncpg.connect(
            self._postgres.url.get_secret_value(),
            timeout=self._serving.connect_timeout_seconds,
            command_timeout=self._serving.statement_timeout_seconds + 5,
            record_class=_Record,
            # As many as there are kinds of questions, however long the SQL of one is and however seldom it is asked.
            statement_cache_size=256,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            server_settings={
                "application_name": "millrace-serving",
                "search_path": self._postgres.db_schema,
                "timezone": "UTC",
                "intervalstyle": "iso_8601",
                # A plan made for any range is a bad plan for this one: times are what the tables are cut by.
                "plan_cache_mode": "force_custom_plan",
                "jit": "off",
                # Many ask at the same time, so that each gets one processor: more of them for one is slower for all,
                # and to start two for each answer takes the time of those who write.
                "max_parallel_workers_per_gather": "0",
                "default_transaction_read_only": "on",
                "statement_timeout": str(round(self._serving.statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": "60000",
            },
        )
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)
        return connection

    async def write(self, statement: ReturningUpdate[Any] | ReturningInsert[Any]) -> Sequence[ResultRow]:
        """Change rows in a transaction of its own, which snapshots taken before do not see; the rows of the statement.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        change = Snapshot(self, begin=BEGIN_WRITING)
        try:
            changed = await change.rows(statement)
            await change.commit()
        finally:
            await change.close()
        return changed

    async def missing_tables(self) -> list[str]:
        """Names of the tables of the contract that do not exist yet.

        Raises:
            ServingError: the database is not reachable.
        """
        names = [table.name for table in metadata.sorted_tables]
        found = [(func.to_regclass(func.quote_ident(name)).is_(None)).label(name) for name in names]
        snapshot = self.snapshot()
        try:
            (row,) = await snapshot.rows(select(*found))
        finally:
            await snapshot.close()
        return [name for name in names if row._mapping[name]]

    async def close(self) -> None:
        """Close the pool."""
        await self.pool.close()
