"""The serving store, as commands of one machine read it: a connection that says what to do where there is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from stack.errors import SettingsError


@asynccontextmanager
async def connected(url: str, schema: str, what: str) -> AsyncIterator[Any]:
    """A connection to its tables. Raises SettingsError where Postgres does not answer or has no table of `what` yet."""
    try:
        connection = await asyncpg.connect(url, timeout=5.0, server_settings={"search_path": schema})
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise SettingsError(
            f"Postgres does not answer ({type(error).__name__}); is the stack up? `millrace status` tells."
        ) from error
    try:
        yield connection
    except asyncpg.UndefinedTableError as error:
        raise SettingsError(f"Postgres has no table of {what} yet; processing makes it when it starts.") from error
    finally:
        await connection.close()
