"""What can go wrong while answering, sorted by what the client must do.

    ServingError
    ├── InvalidArgument      change the request            INVALID_ARGUMENT
    │   ├── BadCursor        start paging afresh           BAD_CURSOR
    │   └── TooLarge         ask for less                  TOO_LARGE
    ├── InvalidText          change the request            INVALID_ARGUMENT
    ├── KeysNeeded           ask with an admin's key       FORBIDDEN
    └── TryLater             send the same request again
        ├── Unavailable      the database is away or busy  UNAVAILABLE
        ├── NotReady         no epoch was ever committed   NOT_READY
        └── TookTooLong      ask for less, or try later    TIMEOUT

Everything else is our bug: the client gets `INTERNAL` and a correlation id, the log gets the cause.
"""

import asyncio
import uuid
from typing import Any, ClassVar

import structlog
from asyncpg import exceptions as postgres
from graphql import GraphQLError

_log = structlog.get_logger(__name__)


class ServingError(Exception):
    """An error whose message is written for the client."""

    code: ClassVar[str] = "INTERNAL"

    def extensions(self) -> dict[str, Any]:
        """The `extensions` of the GraphQL error."""
        return {"code": self.code}


class InvalidArgument(ServingError):  # noqa: N818 - it reads as what it is
    """An argument that can not be answered, and why."""

    code = "INVALID_ARGUMENT"

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument}: {message}")
        self.argument = argument

    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "argument": self.argument}


class BadCursor(InvalidArgument):
    """A cursor or id that this API did not give out."""

    code = "BAD_CURSOR"


class TooLarge(InvalidArgument):
    """The answer would be over a limit; the message names both numbers."""

    code = "TOO_LARGE"


class InvalidText(ServingError):  # noqa: N818 - it reads as what it is
    """A text that no event can hold: with a NUL, or half of a surrogate pair."""

    code = "INVALID_ARGUMENT"


class KeysNeeded(ServingError):  # noqa: N818 - it reads as what it is
    """What only an administrator may ask for, where nobody is asked who they are."""

    code = "FORBIDDEN"


class TryLater(ServingError):  # noqa: N818 - it reads as what it is
    """The request is fine; the store is not, for now."""

    retry_after_seconds: ClassVar[int] = 2

    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "retryAfterSeconds": self.retry_after_seconds}


class Unavailable(TryLater):
    """The database is down, restarting, or has no connection to spare."""

    code = "UNAVAILABLE"


class NotReady(TryLater):
    """The tables do not exist yet: processing has not committed its first epoch."""

    code = "NOT_READY"


class TookTooLong(TryLater):
    """Postgres cancelled the statement at its time limit."""

    code = "TIMEOUT"


_UNAVAILABLE = (
    postgres.PostgresConnectionError,
    postgres.CannotConnectNowError,
    postgres.AdminShutdownError,
    postgres.CrashShutdownError,
    postgres.TooManyConnectionsError,
    postgres.InterfaceError,
    OSError,
    TimeoutError,
    asyncio.TimeoutError,
)


def from_database(error: BaseException) -> ServingError | None:
    """The client's view of a database error, or None when it is our bug (bad SQL, a type that does not fit)."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(link, postgres.QueryCanceledError) for link in chain):
        return TookTooLong("The database took too long; ask for a shorter range or fewer rows.")
    if any(isinstance(link, postgres.UndefinedTableError | postgres.InvalidSchemaNameError) for link in chain):
        return NotReady("There is no data yet: processing has not created its tables.")
    if any(isinstance(link, postgres.CharacterNotInRepertoireError | UnicodeEncodeError) for link in chain):
        return InvalidText("A text in the request holds a NUL or half of a surrogate pair; nothing in the store does.")
    if any(isinstance(link, _UNAVAILABLE) for link in chain):
        return Unavailable("The database is not reachable just now.")
    return None


def describe(error: GraphQLError) -> GraphQLError:
    """The error as the client may see it: its own message and a code, or a correlation id for what the log knows.

    Describing twice changes nothing.
    """
    if "code" in (error.extensions or {}):
        return error
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        code = "BAD_REQUEST" if error.path is None else "INVALID_ARGUMENT"
        return _rewritten(error, error.message, {**(error.extensions or {}), "code": code})
    if isinstance(cause, ServingError):
        return _rewritten(error, str(cause), cause.extensions())
    # A mutation's log lines have one already.
    correlation_id = structlog.contextvars.get_contextvars().get("correlation_id") or uuid.uuid4().hex
    _log.error("resolver_failed", correlation_id=correlation_id, path=error.path, exc_info=cause)
    return _rewritten(
        error,
        "Something went wrong here; the log has the cause under the correlation id.",
        {"code": "INTERNAL", "correlationId": correlation_id},
    )


def _rewritten(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
