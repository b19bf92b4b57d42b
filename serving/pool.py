"""A few connections to Postgres, each lent to one operation at a time, in the transaction that it wants or in none."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg

BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
BEGIN_WRITING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE"


class Pool:
    """Connections, opened when they are first needed. The one that came back last is lent first."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int, patience_seconds: float) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(size)
        self._patience_seconds = patience_seconds
        self._idle: list[Any] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def lend(self, begin: str | None) -> Any:
        """A connection, in the transaction that `begin` begins, if any. The caller gives it back.

        One that broke while it lay here is found out by that; then all that lay here are given up and a new one is
        opened. To ask each time whether one lives would cost as much as a small answer: without a transaction it is
        found out by who asks something of it.

        Raises:
            TimeoutError: none came back in time.
            OSError, asyncpg.PostgresError: the database is not reachable.
        """
        if self._turns.locked():
            async with asyncio.timeout(self._patience_seconds):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        connection = None
        try:
            while self._idle:
                connection = self._idle.pop()
                try:
                    await _begin(connection, begin)
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    if not connection.is_closed():
                        raise
                    while self._idle:
                        self._idle.pop().terminate()
                else:
                    return connection
            connection = await self._connect()
            await _begin(connection, begin)
        except BaseException:
            if connection is not None:
                connection.terminate()
            self._turns.release()
            raise
        return connection

    def give_back(self, connection: Any) -> None:
        """Take a connection back, ending its transaction; nobody waits for that. One that cannot end it is given up."""
        if not connection.is_in_transaction() and not connection.is_closed():
            self._idle.append(connection)
            self._turns.release()
            return
        task = asyncio.create_task(self._end(connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Close what lies here, and what is just coming back."""
        while self._ending:
            await asyncio.wait(self._ending)
        while self._idle:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self._idle.pop().close(timeout=1)

    async def _end(self, connection: Any) -> None:
        try:
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
                self._idle.append(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection.terminate()
        finally:
            self._turns.release()


async def _begin(connection: Any, begin: str | None) -> None:
    if begin is not None:
        await connection.execute(begin)
