"""One state of the store for each operation, whatever is committed meanwhile.

An operation's roots run concurrently but share one REPEATABLE READ transaction, so they all see the same epoch; it
opens with the first statement, and an operation that reads nothing takes no connection. What is asked in one statement
needs no transaction to be of one epoch: it is asked as of the newest commit that is known, and says itself whether that
is what it has seen.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy.sql.elements import ClauseElement

from serving.errors import ServingError, Unavailable, from_database
from serving.pool import BEGIN_READING
from serving.queries import ResultRow, Statement
from serving.queries.as_of import AS_OF, proving
from serving.statements import told

if TYPE_CHECKING:
    from serving.database import Database

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
    token: str = ""
    """Of the newest change outside of epochs; empty in a line of history."""

    @property
    def state(self) -> tuple[int, datetime, str]:
        """What names the state of the store: no two differ in what readers are told and are equal in this.

        With the time, so that an epoch is not taken for one that had its number before a backup was put back.
        """
        return self.epoch, self.committed_at, self.token


class Snapshot:
    """One state of the store, for as long as one operation runs. Safe to share between its roots.

    With `known` it is that state, and there is no transaction: each statement proves itself that it has read it. What
    was told is right if the snapshot `holds` in the end.
    """

    def __init__(self, database: "Database", *, begin: str = BEGIN_READING, known: EpochRow | None = None) -> None:
        self._database = database
        self._begin = None if known is not None else begin
        self._known = known
        self._proven: bool | None = None
        """Whether all that was told of the known state is proven; None where nothing was."""
        self._moved = False
        """Whether the store was found in another state than the known one, or the connection was lost."""
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
            if self._known is None:
                return await self._rows(statement, values)
            epoch, committed_at, token = self._known.state
            known = {"known_epoch": epoch, "known_committed_at": committed_at, "known_token": token}
            found = await self._rows(proving(cast("Statement", statement)), {**(values or {}), **known})
            # No rows say nothing. A later proof does: no state comes back.
            self._proven = bool(found)
            if found and not found[0].as_known:
                raise self._lost()
            return found

    async def holds(self) -> bool:
        """Whether all that was told is of one state. Where not, the operation is to be run again in a transaction.

        Raises:
            TryLater: the database is too slow.
        """
        async with self._turn:
            if self._known is not None and self._proven is False and not self._closed:
                found = await self._rows(AS_OF)
                self._moved = not found or EpochRow(*found[0]).state != self._known.state
            return not self._moved

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
            if self._known is not None:
                self._proven = bool(self._proven)
                return self._known
            if self._as_of is None:
                found = await self._rows(AS_OF)
                self._database.newest = EpochRow(*found[0]) if found else None
                self._as_of = (self._database.newest,)
            return self._as_of[0]

    async def close(self) -> None:
        """End the transaction and give the connection back. Nothing can be read after it."""
        async with self._turn:
            self._drop()

    async def _rows(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Sequence[ResultRow]:
        if self._closed:
            raise self._failure or Unavailable("The request has ended.")
        sql, arguments = told(statement, values)
        if self._connection is None:
            self._connection = await self._run(self._database.pool.lend(self._begin))
        found: Sequence[ResultRow] = await self._run(self._connection.fetch(sql, *arguments))
        return found

    async def _run(self, work: Awaitable[T]) -> T:
        """What comes of it. What goes wrong is told in our own words, and the connection is given up."""
        try:
            return await work
        except Exception as error:
            if self._known is not None and self._connection is not None and self._connection.is_closed():
                raise self._lost() from error  # it had broken while it lay in the pool, where nobody looked
            self._drop()
            known = from_database(error)
            if known is None:
                raise
            self._failure = known
            raise known from error

    def _lost(self) -> ServingError:
        self._moved = True
        self._drop()
        self._failure = Unavailable("The store has changed meanwhile.")
        return self._failure

    def _drop(self) -> None:
        # A snapshot that broke stays broken: a second one would show other roots another epoch.
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            self._database.pool.give_back(connection)
