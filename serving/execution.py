"""Running an operation: one snapshot, every resolver, the answer as bytes."""

from collections.abc import AsyncIterable, Awaitable
from dataclasses import dataclass
from enum import Enum
from inspect import isawaitable
from typing import Any, Final, TypeGuard

import orjson
import strawberry
from graphql import ExecutionResult, GraphQLError, OperationType, execute

from serving.compiled import CompiledExecutor
from serving.database import Snapshot
from serving.documents import Documents, Operation, Unusable
from serving.errors import TryLater, describe
from serving.limits import Shape
from serving.request import GraphQLRequest
from serving.schema.context import OperationContext, Services


class Outcome(Enum):
    """How it went, from the best to the worst."""

    DATA = "data"
    PARTIAL = "errors"
    """Data, some of it missing, and why."""
    INVALID = "invalid"
    """GraphQL that can not be run here: unknown fields, bad variables, over a limit."""
    UNPARSABLE = "unparsable"
    """Not GraphQL."""
    REFUSED = "refused"
    """Not to be done this way: a mutation over GET, a subscription where there is one answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told."""

    outcome: Outcome
    body: bytes
    epoch: int | None = None
    """The epoch that all of it belongs to, where it is of one and is the same as long as that one is the newest."""
    retry: bool = False
    """Whether the same request can do better later: the store is away, or was too slow."""


class Executor:
    """Requests to answers. Keeps nothing but the documents it knows."""

    def __init__(self, schema: strawberry.Schema, services: Services) -> None:
        self._graphql = schema._schema  # the one thing of Strawberry's that runs
        self._services = services
        self._documents = Documents(self._graphql, Shape.of(services.settings))

    def operation(self, request: GraphQLRequest) -> Operation | Unusable:
        """The operation that a request is about."""
        return self._documents.operation(request.query, request.operation_name)

    async def run(self, request: GraphQLRequest, operation: Operation | Unusable) -> Answer:
        """The answer, read now. Never fails: what goes wrong is in the answer."""
        if isinstance(operation, Unusable):
            body = encoded(None, operation.errors)
            return Answer(Outcome.INVALID if operation.parsed else Outcome.UNPARSABLE, body)
        snapshot = self._services.database.snapshot()
        epoch = None
        try:
            result = await self._execute(operation, request, OperationContext(self._services, snapshot))
            if operation.epochal and not result.errors:
                epoch = await _epoch(snapshot)
        except Exception as error:
            failed = GraphQLError(str(error), original_error=error)
            return Answer(Outcome.INVALID, encoded(None, [describe(failed)]))
        finally:
            await snapshot.close()
        errors = [describe(error) for error in result.errors or ()]
        if result.data is None and all(error.path is None for error in errors):
            return Answer(Outcome.INVALID, encoded(None, errors))
        return Answer(
            Outcome.PARTIAL if errors else Outcome.DATA,
            encoded(result.data, errors, ran=True, epoch=epoch if operation.kind is _SUBSCRIPTION else None),
            epoch,
            any("retryAfterSeconds" in (error.extensions or {}) for error in errors),
        )

    async def _execute(
        self, operation: Operation, request: GraphQLRequest, context: OperationContext
    ) -> ExecutionResult:
        result: ExecutionResult | Awaitable[ExecutionResult] = execute(
            self._graphql,
            operation.document,
            context_value=context,
            variable_values=request.variables,
            operation_name=operation.name,
            max_coercion_errors=5,
            executor_class=CompiledExecutor,
            is_async_iterable=_never,
            hide_suggestions=True,
        )
        return await result if isawaitable(result) else result


_SUBSCRIPTION: Final = OperationType.SUBSCRIPTION


def encoded(data: Any, errors: Any, *, ran: bool = False, epoch: int | None = None) -> bytes:
    """The JSON of an answer. What never ran has no `data`, not even null (section 7.1 of the GraphQL spec)."""
    body: dict[str, Any] = {}
    if errors:
        body["errors"] = [error.formatted for error in errors]
    if ran:
        body["data"] = data
    if epoch is not None:
        body["extensions"] = {"epoch": epoch}
    return orjson.dumps(body)


async def _epoch(snapshot: Snapshot) -> int | None:
    try:
        as_of = await snapshot.as_of()
    except TryLater:
        return None  # the answer is right all the same; it is only not kept
    return as_of.epoch if as_of else None


def _never(_value: Any) -> TypeGuard[AsyncIterable[Any]]:
    return False
