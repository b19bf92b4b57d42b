"""What one document may ask for, and how its errors are told.

The limits on ranges, rows and pages stand where those are read; here are the ones a document breaks by its shape.
"""

from collections.abc import AsyncIterator
from typing import Any

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

from serving.errors import describe
from serving.schema.context import OperationContext, RequestContext
from serving.settings import ServingSettings


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
    """Describes errors as clients may see them, those of subscriptions included."""

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        return describe(error)


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
