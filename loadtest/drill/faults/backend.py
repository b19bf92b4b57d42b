"""What can happen to a connection inside of Postgres: ended in the middle of a COPY, made to wait for a lock."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import asyncpg

from loadtest.drill.ground import DrillError, Ground

_TRY_SECONDS: Final = 60.0
_END_COPY: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query ILIKE 'COPY %'"""


@dataclass(frozen=True)
class MidCopy:
    """Backends are ended (`pg_terminate_backend`) while they take in a COPY."""

    times: int = 1

    async def strike(self, ground: Ground) -> None:
        connection = await _connect(ground)
        try:
            ended, deadline = 0, time.monotonic() + _TRY_SECONDS
            while ended < self.times:
                ended += await connection.fetchval(_END_COPY)
                if time.monotonic() > deadline:
                    raise DrillError(f"no COPY was met within {_TRY_SECONDS:g} s")
        finally:
            await connection.close()


@dataclass(frozen=True)
class LockHeld:
    """Somebody holds a table that every epoch writes."""

    table: str
    seconds: float

    async def strike(self, ground: Ground) -> None:
        connection = await _connect(ground)
        try:
            async with connection.transaction():
                await connection.execute(f'LOCK TABLE "{ground.postgres.db_schema}"."{self.table}"')
                await asyncio.sleep(self.seconds)
        finally:
            await connection.close()


async def _connect(ground: Ground) -> "asyncpg.Connection":
    try:
        return await asyncpg.connect(ground.postgres.url.get_secret_value())
    except (OSError, asyncpg.PostgresError) as error:
        raise DrillError(f"Postgres: {error}") from error
