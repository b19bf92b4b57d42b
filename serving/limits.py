"""What one document may ask for, and how its errors are told.

The limits on ranges, rows and pages stand where those are read; here are the ones a document breaks by its shape.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import structlog
from graphql import GraphQLError
from strawberry.extensions import (
    AddValidationRules,
    MaskErrors,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    QueryDepthLimiter,
    SchemaExtension,
)
from strawberry.extensions.parser_cache import ParserCache
from strawberry.extensions.validation_cache import ValidationCache

from serving.errors import ServingError
from serving.schema.context import OperationContext, RequestContext
from serving.settings import ServingSettings

_log = structlog.get_logger(__name__)


class SnapshotPerOperation(SchemaExtension):
    """Gives each operation its snapshot and ends it with the operation, whatever happens in between."""

    async def on_operation(self) -> AsyncIterator[None]:
        request: RequestContext = self.execution_context.context
        snapshot = request.services.database.snapshot()
        self.execution_context.context = OperationContext(request.services, snapshot)
        try:
            yield
        finally:
            await snapshot.close()


class TypedErrors(MaskErrors):
    """Errors meant for the client keep their message and get a code; the cause of any other stays in the log."""

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        return describe(error)


def describe(error: GraphQLError) -> GraphQLError:
    """The error as the client may see it."""
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        code = "BAD_REQUEST" if error.path is None else "INVALID_ARGUMENT"
        return _rewritten(error, error.message, {**(error.extensions or {}), "code": code})
    if isinstance(cause, ServingError):
        return _rewritten(error, str(cause), cause.extensions())
    correlation_id = uuid.uuid4().hex
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


def extensions(settings: ServingSettings) -> list[Any]:
    """Factories of the schema's extensions, outermost first; each operation gets fresh instances."""
    # The rules are made once: the validation cache knows a document by the rules it was checked with.
    shape = [
        *QueryDepthLimiter(max_depth=settings.max_depth).validation_rules,
        *MaxAliasesLimiter(max_alias_count=settings.max_aliases).validation_rules,
    ]
    return [
        TypedErrors,
        SnapshotPerOperation,
        lambda: MaxTokensLimiter(max_token_count=settings.max_tokens),
        lambda: AddValidationRules(shape),
        lambda: ParserCache(maxsize=256),
        lambda: ValidationCache(maxsize=256),
    ]
