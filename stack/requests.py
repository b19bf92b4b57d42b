"""What was asked for by mutations of GraphQL, as it stands in Postgres, and doing it by the commands of this stack.

A request is taken by whoever holds the lock of the store, one after another. One that was being done when its doer
ended is taken again: both commands go on where they were interrupted, and do nothing twice.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from stack.errors import MachineError, SettingsError, StackError
from stack.store import connected

TABLE: Final = "requests"
CHANNEL: Final = "millrace_requests"
"""By their names: to import the contracts of all tables took half of the time in which every command starts."""
MOST_ATTEMPTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_ERROR: Final = 1000
_NOT_ACCEPTED_SHOWN: Final = 20
_OPEN: Final = "(state = 'running' OR state = 'waiting' AND due_at <= clock_timestamp())"


@dataclass(frozen=True)
class Request:
    """One that is being done."""

    id: int
    kind: str
    arguments: dict[str, Any]
    attempts: int
    """This one among them."""


class Requests:
    """The table, over one connection that holds the lock of the store."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def take(self) -> Request | None:
        """The oldest that is due, now running; None where there is none."""
        row = await self._connection.fetchrow(
            f"UPDATE {TABLE} SET state = 'running', started_at = clock_timestamp(), attempts = attempts + 1"  # noqa: S608 - constants
            f" WHERE id = (SELECT id FROM {TABLE} WHERE {_OPEN} ORDER BY id LIMIT 1)"
            " RETURNING id, kind, arguments::text AS arguments, attempts"
        )
        return None if row is None else Request(row["id"], row["kind"], json.loads(row["arguments"]), row["attempts"])

    async def done(self, request: Request, receipt: Mapping[str, Any]) -> None:
        """It is done; whom it named is forgotten."""
        await self._connection.execute(
            f"UPDATE {TABLE} SET state = 'done', finished_at = clock_timestamp(), arguments = NULL, error = NULL,"  # noqa: S608 - constants
            " receipt = $2::text::jsonb WHERE id = $1",
            request.id,
            json.dumps(receipt),
        )

    async def not_done(self, request: Request, reason: str) -> bool:
        """It came to nothing this time; returns whether it is given up."""
        gone = request.attempts >= MOST_ATTEMPTS
        await self._connection.execute(
            f"UPDATE {TABLE} SET state = $2, error = $3, due_at = clock_timestamp() + make_interval(secs => $4),"  # noqa: S608 - constants
            " finished_at = CASE WHEN $2 = 'failed' THEN clock_timestamp() END WHERE id = $1",
            request.id,
            "failed" if gone else "waiting",
            reason[-_LONGEST_ERROR:],
            _FIRST_PAUSE_SECONDS * 4 ** (request.attempts - 1),
        )
        return gone


@asynccontextmanager
async def open_requests(url: str, schema: str) -> AsyncIterator[Requests]:
    """The requests of a store. Raises SettingsError where it cannot be read, MachineError while another does them."""
    async with connected(url, schema, "requests") as connection:
        try:
            lock = f"millrace-requests:{schema}"
            if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", lock):
                raise MachineError("Another process is doing the requests of this store.")
            yield Requests(connection)
        except (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
            raise MachineError(f"Postgres has gone away meanwhile ({type(error).__name__}).") from error


async def is_due(connection: Any) -> bool:
    """Whether there is something to do."""
    due: bool = await connection.fetchval(f"SELECT EXISTS (SELECT FROM {TABLE} WHERE {_OPEN})")  # noqa: S608 - constants
    return due


async def perform(request: Request) -> dict[str, Any]:
    """Do it; what was done. Raises StackError with the reason why it came to nothing."""
    told = await _run(command_of(request))
    if request.kind != "replay_rejected":
        return told
    refused = [each for each in told["results"] if each["outcome"] not in ("accepted", "already replayed")]
    return {"counts": told["counts"], "not_accepted": refused[:_NOT_ACCEPTED_SHOWN]}


def command_of(request: Request) -> list[str]:
    """The verb of `millrace` that does it, with its options. Raises SettingsError for a kind that is not known."""
    told = request.arguments
    if request.kind == "erase_user":
        return ["erase", f"--user={told['user_id']}", "--yes", "--json"]
    if request.kind == "replay_rejected":
        named = [f"--{name}={told[name]}" for name in ("reason", "source", "since", "patch") if name in told]
        return ["rejected", "replay", *(f"--id={each}" for each in told.get("ids", ())), *named, "--json"]
    raise SettingsError(f"Nobody here knows how to do a request of the kind {request.kind!r}.")


async def _run(command: Sequence[str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "stack", *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    try:
        told: dict[str, Any] = json.loads(out)
    except ValueError:
        reason = err.decode("utf-8", "replace").strip() or f"it ended with code {process.returncode}"
        raise StackError(reason) from None
    return told
