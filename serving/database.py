"""Postgres as serving sees it: a small pool, and one read-only snapshot per operation.

An operation's roots run concurrently but share one REPEATABLE READ transaction, so they all see the same epoch; it
opens with the first statement, and an operation that reads nothing takes no connection.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import orjson
from sqlalchemy import func, select
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate
from sqlalchemy.sql.elements import ClauseElement

import contracts.alerts
import contracts.models
import contracts.projections  # noqa: F401 - they join the metadata
from contracts.settings import PostgresSettings
from contracts.tables import metadata
from serving.errors import ServingError, Unavailable, from_database
from serving.pool import BEGIN_READING, BEGIN_WRITING, Pool
from serving.queries import ResultRow
from serving.queries.as_of import AS_OF, STATE
from serving.settings import ServingSettings
from serving.statements import told

T = TypeVar("T")


@dataclass(frozen=True)
class EpochRow:
    """The newest committed epoch, and how far behind now it is by the database's clock: a row of `AS_OF`."""

    epoch: int
    committed_at: datetime
    watermark: datetime | None
    newest_log_time: datetime
    read_at: datetime
    summed_until: datetime | None = None
    """Before it only whole hours are left; None where every minute is."""


@dataclass(frozen=True)
class StateRow:
    """What names a state of the store: no two differ in what readers are told and are equal in this.

    It is a row of `STATE`.
    """

    epoch: int
    committed_at: datetime
    """So that an epoch is not taken for one that had its number before a backup was put back."""
    token: str


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
        self._pool = Pool(self.connect, serving.pool_size, serving.pool_timeout_seconds)

    def snapshot(self) -> "Snapshot":
        """A snapshot not yet taken. The caller closes it."""
        return Snapshot(self._pool)

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
                # A plan made for any range is a bad plan for this one: times are what the tables are cut by.
                "plan_cache_mode": "force_custom_plan",
                "jit": "off",
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
        change = Snapshot(self._pool, begin=BEGIN_WRITING)
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
        await self._pool.close()


class Snapshot:
    """One state of the store, for as long as one operation runs. Safe to share between its roots."""

    def __init__(self, pool: Pool, *, begin: str = BEGIN_READING) -> None:
        self._pool = pool
        self._begin = begin
        self._connection: Any = None
        self._turn = asyncio.Lock()  # a connection runs one statement at a time
        self._closed = False
        self._failure: ServingError | None = None
        """What it broke by: all who share it are told the same."""
        self._as_of: tuple[EpochRow | None] | None = None
        """The newest epoch, once it is read."""

    async def rows(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Sequence[ResultRow]:
        """All rows of the statement, with the values of its parameters.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        async with self._turn:
            return await self._rows(statement, values)

    async def commit(self) -> None:
        """Keep what was written. Raises TryLater."""
        async with self._turn:
            if self._connection is not None:
                await self._run(self._connection.execute("COMMIT"))

    async def as_of(self) -> EpochRow | None:
        """The newest epoch of this snapshot, read once; None before the first one.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        async with self._turn:
            if self._as_of is None:
                found = await self._rows(AS_OF)
                self._as_of = (EpochRow(*found[0]) if found else None,)
            return self._as_of[0]

    async def state(self) -> StateRow | None:
        """The state of the store that this snapshot shows; None before the first epoch.

        Raises:
            TryLater: the database is away, empty or too slow.
        """
        found = await self.rows(STATE)
        return StateRow(*found[0]) if found else None

    async def close(self) -> None:
        """End the transaction and give the connection back. Nothing can be read after it."""
        async with self._turn:
            self._drop()

    async def _rows(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Sequence[ResultRow]:
        if self._closed:
            raise self._failure or Unavailable("The request has ended.")
        sql, arguments = told(statement, values)
        if self._connection is None:
            self._connection = await self._run(self._pool.lend(self._begin))
        found: Sequence[ResultRow] = await self._run(self._connection.fetch(sql, *arguments))
        return found

    async def _run(self, work: Awaitable[T]) -> T:
        """What comes of it. What goes wrong is told in our own words, and the connection is given up."""
        try:
            return await work
        except Exception as error:
            self._drop()
            known = from_database(error)
            if known is None:
                raise
            self._failure = known
            raise known from error

    def _drop(self) -> None:
        # A snapshot that broke stays broken: a second one would show other roots another epoch.
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(connection)
