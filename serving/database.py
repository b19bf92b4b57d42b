"""Postgres as serving sees it: a small pool, and one read-only snapshot per operation.

An operation's roots run concurrently but share one REPEATABLE READ transaction, so they all see the same epoch; it
opens with the first statement, and an operation that reads nothing takes no connection.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Executable, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

import contracts.alerts
import contracts.models
import contracts.projections  # noqa: F401 - they join the metadata
from contracts.settings import PostgresSettings
from contracts.tables import metadata
from serving.errors import ServingError, Unavailable, from_database
from serving.queries import ResultRow
from serving.queries.as_of import AS_OF, STATE
from serving.settings import ServingSettings


@dataclass(frozen=True)
class EpochRow:
    """The newest committed epoch, and how far behind now it is by the database's clock."""

    epoch: int
    committed_at: datetime
    watermark: datetime | None
    newest_log_time: datetime
    read_at: datetime
    summed_until: datetime | None = None
    """Before it only whole hours are left; None where every minute is."""


@dataclass(frozen=True)
class StateRow:
    """What names a state of the store: no two differ in what readers are told and are equal in this."""

    epoch: int
    committed_at: datetime
    """So that an epoch is not taken for one that had its number before a backup was put back."""
    token: str


class Database:
    """The serving store. Connects when first asked and again after it was away; never on construction."""

    def __init__(self, postgres: PostgresSettings, serving: ServingSettings) -> None:
        self._postgres = postgres
        self._serving = serving
        self._engine = self._build_engine()

    def snapshot(self) -> "Snapshot":
        """A snapshot not yet taken. The caller closes it."""
        return Snapshot(self._engine)

    async def connect(self) -> Any:
        """A connection of its own, outside the pool, as the epoch feed needs it.

        Raises:
            OSError, asyncpg.PostgresError: the database is not reachable.
        """
        return await asyncpg.connect(
            self._postgres.url.get_secret_value(),
            timeout=self._serving.connect_timeout_seconds,
            command_timeout=self._serving.statement_timeout_seconds + 5,
            server_settings={
                "application_name": "millrace-serving",
                "search_path": self._postgres.db_schema,
                "timezone": "UTC",
                # A plan made for any range is a bad plan for this one: times are what the tables are cut by.
                "plan_cache_mode": "force_custom_plan",
                "jit": "off",
                "statement_timeout": str(round(self._serving.statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": "60000",
            },
        )

    async def write(self, statement: ReturningUpdate[Any] | ReturningInsert[Any]) -> Sequence[ResultRow]:
        """Change rows in a transaction of its own, which snapshots taken before do not see; the rows of the statement.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        change = Snapshot(self._engine, readonly=False)
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
        await self._engine.dispose()

    def _build_engine(self) -> AsyncEngine:
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
            pool_size=self._serving.pool_size,
            max_overflow=0,
            pool_timeout=self._serving.pool_timeout_seconds,
        )


class Snapshot:
    """One state of the store, for as long as one operation runs. Safe to share between its roots."""

    def __init__(self, engine: AsyncEngine, *, readonly: bool = True) -> None:
        self._engine = engine
        self._readonly = readonly
        self._connection: AsyncConnection | None = None
        self._turn = asyncio.Lock()  # a connection runs one statement at a time
        self._closed = False
        self._failure: ServingError | None = None
        """What it broke by: all who share it are told the same."""
        self._as_of: asyncio.Task[EpochRow | None] | None = None

    async def rows(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[ResultRow]:
        """All rows of the statement, with the values of its parameters.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        async with self._turn:
            if self._closed:
                raise self._failure or Unavailable("The request has ended.")
            async with self._told():
                run = self._first if self._connection is None else self._run
                return await run(statement, values)

    async def commit(self) -> None:
        """Keep what was written. Raises TryLater."""
        async with self._turn, self._told():
            if self._connection is not None:
                await self._connection.commit()

    async def as_of(self) -> EpochRow | None:
        """The newest epoch of this snapshot, read once; None before the first one.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        if self._as_of is None:
            self._as_of = asyncio.ensure_future(self._read_as_of())
        return await asyncio.shield(self._as_of)

    async def state(self) -> StateRow | None:
        """The state of the store that this snapshot shows; None before the first epoch.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        found = await self.rows(STATE)
        return StateRow(**found[0]._mapping) if found else None

    async def close(self) -> None:
        """End the transaction and give the connection back. Nothing can be read after it."""
        if self._as_of is not None and not self._as_of.done():
            self._as_of.cancel()
        async with self._turn:
            self._closed = True
            await self._drop()

    async def _read_as_of(self) -> EpochRow | None:
        found = await self.rows(AS_OF)
        return EpochRow(**found[0]._mapping) if found else None

    async def _first(self, statement: Executable, values: Mapping[str, Any] | None) -> Sequence[ResultRow]:
        """On a connection from the pool, or on a new one where that broke while it lay there.

        All that lay there are given up then. To ask each time whether one lives would be half of what an answer takes.
        """
        self._connection = await self._connect()
        try:
            return await self._run(statement, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        await self._connection.close()
        self._connection = await self._connect()
        return await self._run(statement, values)

    async def _connect(self) -> AsyncConnection:
        connection = await self._engine.connect()
        return connection if self._readonly else await connection.execution_options(postgresql_readonly=False)

    async def _run(self, statement: Executable, values: Mapping[str, Any] | None) -> Sequence[ResultRow]:
        assert self._connection is not None
        return (await self._connection.execute(statement, values)).all()

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """What goes wrong in it, in our own words; the connection is given up."""
        try:
            yield
        except Exception as error:
            await self._drop()
            known = from_database(error)
            if known is None:
                raise
            self._failure = known
            raise known from error

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # A snapshot that broke stays broken: a second one would show other roots another epoch.
        self._closed = True
        try:
            await connection.close()
        except Exception as error:
            if from_database(error) is None:
                raise
