"""Running an operation: one snapshot, every resolver, the answer as bytes."""

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import orjson
import strawberry
from graphql import ExecutionResult, GraphQLError, OperationType
from graphql.execution.values import VariableValues

from serving.access import Client, Denied
from serving.allowed import Allowed
from serving.audit import Audit
from serving.compiled import CompiledExecutor
from serving.costs import arguments_of, rows_of
from serving.documents import Documents, Operation, Unusable
from serving.errors import ServingError, TookTooLong, describe
from serving.limits import Shape
from serving.request import GraphQLRequest
from serving.schema.context import OperationContext, Services
from serving.schema.scalars import format_duration, format_time
from serving.snapshot import EpochRow, Snapshot
from serving.turns import Turns

if TYPE_CHECKING:  # 20 MB of Redis's client, which only replicas that share are to have
    from serving.shared import SharedAnswers


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
    as_of: bytes = b""
    """The JSON of the commit that it is of, the body's last member (`extensions.asOf`); empty where it has none."""

    @property
    def content(self) -> bytes:
        """The body but for `as_of`: the same as long as nothing else has changed."""
        return self.body[: -len(self.as_of) - len("}}")] if self.as_of else self.body


class Executor:
    """Requests to answers. Keeps nothing but the documents it knows."""

    def __init__(self, schema: strawberry.Schema, services: Services, shared: "SharedAnswers | None" = None) -> None:
        settings = services.settings
        self._graphql = schema._schema  # the one thing of Strawberry's that runs
        self._services = services
        allowed = Allowed.read(settings.documents_file) if settings.documents_file is not None else None
        self._documents = Documents(self._graphql, Shape.of(settings), allowed, introspection=settings.introspection)
        self._turns = Turns(settings.running_per_client, settings.waiting_per_client)
        self._shared = shared
        self._audit = Audit(self._graphql)

    def operation(self, request: GraphQLRequest) -> Operation | Unusable:
        """The operation that a request is about."""
        return self._documents.operation(request.query, request.operation_name)

    def check(self, request: GraphQLRequest, operation: Operation, client: Client) -> None:
        """Raises Denied where the client lacks a scope; if it would have changed something, that is written down."""
        try:
            client.check(operation.scopes)
        except Denied as denied:
            if operation.kind is OperationType.MUTATION:
                self._audit.refused(request, operation, client, denied)
            raise

    async def run(self, request: GraphQLRequest, operation: Operation | Unusable, client: str = "") -> Answer:
        """The answer, read now, when it is the client's turn. What goes wrong is in the answer.

        Raises:
            LineFull: too many of the client's operations wait already.
        """
        if isinstance(operation, Unusable):
            body = encoded(None, operation.errors)
            return Answer(Outcome.INVALID if operation.parsed else Outcome.UNPARSABLE, body)
        if operation.kind is not OperationType.MUTATION:
            return await self._answer(request, operation, client)
        with self._audit.of(request, operation, client) as line:
            answer = await self._answer(request, operation, client)
            body = orjson.loads(answer.body)
            line.outcome = answer.outcome.value
            line.codes = [error["extensions"]["code"] for error in body.get("errors", ())]
            body["extensions"] = {"correlationId": line.correlation_id}
            return replace(answer, body=orjson.dumps(body))

    async def _answer(self, request: GraphQLRequest, operation: Operation, client: str) -> Answer:
        snapshot = self._services.database.snapshot(self._known(operation))
        context = OperationContext(self._services, snapshot, client)
        execution = self._begun(operation, request, context)
        if isinstance(execution, list):
            return Answer(Outcome.INVALID, encoded(None, [describe(error) for error in execution]))
        over = self._over_cost(operation, execution.variable_values)
        if over is not None:
            return Answer(Outcome.INVALID, encoded(None, [over]))
        async with self._turns.turn(client):
            return await self._run(request, operation, context, execution)

    def _known(self, operation: Operation) -> EpochRow | None:
        """The newest commit, if it is known and the operation may be run as of it without a transaction.

        One of several roots takes its time; it would often be overtaken by a commit, and be run twice.
        """
        if not operation.epochal or len(operation.roots) > 1 or (self._shared is not None and operation.shareable):
            return None
        newest, heard_of = self._services.database.newest, self._services.feed.newest
        return newest if newest is not None and heard_of in {None, newest.epoch} else None

    def _begun(
        self, operation: Operation, request: GraphQLRequest, context: OperationContext
    ) -> CompiledExecutor | list[GraphQLError]:
        """The operation with its variables, to be executed; or what is wrong with those."""
        return CompiledExecutor.begun(
            self._graphql,
            operation.document,
            context_value=context,
            raw_variable_values=request.variables,
            operation_name=operation.name,
            max_coercion_errors=5,
            is_async_iterable=_never,
            hide_suggestions=True,
        )

    def _over_cost(self, operation: Operation, variables: VariableValues) -> GraphQLError | None:
        """What is wrong with the cost; nothing where arguments do not fit, since execution says how."""
        if operation.kind is not OperationType.QUERY:
            return None
        settings = self._services.settings
        try:
            cost = sum(
                rows_of(
                    root.node.name.value,
                    arguments_of(self._graphql.query_type, root.node, variables),
                    root.below,
                    settings,
                )
                for root in operation.roots
            )
        except GraphQLError:
            return None
        if cost <= settings.max_cost:
            return None
        message = f"It is expected to read out {cost} rows; the limit of an operation is {settings.max_cost}."
        return GraphQLError(message, extensions={"code": "TOO_LARGE"})

    async def _run(
        self, request: GraphQLRequest, operation: Operation, context: OperationContext, execution: CompiledExecutor
    ) -> Answer:
        shared = self._shared if operation.shareable else None
        state = None
        snapshot = context.snapshot
        try:
            async with asyncio.timeout(self._services.settings.request_seconds):
                if shared is not None and shared.answering and (state := await _as_of(snapshot)) is not None:
                    known = await shared.get(request.key, state)
                    if known is not None:
                        return Answer(Outcome.DATA, known, state.epoch, as_of=_told(state))
                result, as_of = await _result(operation, execution, snapshot)
                if not await snapshot.holds():
                    snapshot = self._services.database.snapshot()
                    again = self._begun(operation, request, replace(context, snapshot=snapshot))
                    assert not isinstance(again, list), "its variables were right before"
                    result, as_of = await _result(operation, again, snapshot)
        except TimeoutError:
            late = TookTooLong("It took too long; ask for less.")
            return Answer(Outcome.INVALID, encoded(None, [describe(GraphQLError("", original_error=late))]), retry=True)
        except Exception as error:
            failed = GraphQLError(str(error), original_error=error)
            return Answer(Outcome.INVALID, encoded(None, [describe(failed)]))
        finally:
            await snapshot.close()
        errors = [describe(error) for error in result.errors or ()]
        if result.data is None and all(error.path is None for error in errors):
            return Answer(Outcome.INVALID, encoded(None, errors))
        epoch = as_of.epoch if as_of is not None and operation.epochal and not errors else None
        told = _told(as_of) if as_of is not None else b""
        answer = Answer(
            Outcome.PARTIAL if errors else Outcome.DATA,
            encoded(
                result.data, errors, ran=True, epoch=epoch if operation.kind is _SUBSCRIPTION else None, as_of=told
            ),
            epoch,
            any("retryAfterSeconds" in (error.extensions or {}) for error in errors),
            told,
        )
        if shared is not None and state is not None and epoch is not None:
            shared.put(request.key, state, answer.body)
        return answer


_SUBSCRIPTION: Final = OperationType.SUBSCRIPTION


def encoded(data: Any, errors: Any, *, ran: bool = False, epoch: int | None = None, as_of: bytes = b"") -> bytes:
    """The JSON of an answer. What never ran has no `data`, not even null (section 7.1 of the GraphQL spec)."""
    body: dict[str, Any] = {}
    if errors:
        body["errors"] = [error.formatted for error in errors]
    if ran:
        body["data"] = data
    extensions: dict[str, Any] = {"epoch": epoch} if epoch is not None else {}
    if as_of:
        extensions["asOf"] = orjson.Fragment(as_of)
    if extensions:
        body["extensions"] = extensions
    return orjson.dumps(body)


def _told(as_of: EpochRow) -> bytes:
    """What is true of a commit whenever it is told: an answer is kept with it."""
    return orjson.dumps(
        {
            "epoch": as_of.epoch,
            "committedAt": format_time(as_of.committed_at),
            "watermark": format_time(as_of.watermark) if as_of.watermark is not None else None,
            "freshness": format_duration(max(timedelta(0), as_of.committed_at - as_of.newest_log_time)),
        }
    )


async def _result(
    operation: Operation, execution: CompiledExecutor, snapshot: Snapshot
) -> tuple[ExecutionResult, EpochRow | None]:
    """What comes of it, and the commit that it was read of."""
    result = await execution.result()
    reads = operation.epochal or any(not root.node.name.value.startswith("__") for root in operation.roots)
    told = reads and operation.kind is not OperationType.MUTATION and result.data is not None
    return result, await _as_of(snapshot) if told else None


async def _as_of(snapshot: Snapshot) -> EpochRow | None:
    try:
        return await snapshot.as_of()
    except ServingError:  # also what broke it while a root was read
        return None  # the roots say what there is to say; an answer is right all the same, only not kept


def _never(_value: Any) -> TypeGuard[AsyncIterable[Any]]:
    return False
