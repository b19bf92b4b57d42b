"""Completing lists without asking field by field: what a selection takes from an object is worked out once a list.

Where all that is selected of an object are values that it holds, a plan reads them off; anything else (a field with a
resolver or arguments, a value that does not fit its type) is left to graphql-core, whose result is the same. An object
that the database has written (`serving.queries.json`) is complete.
"""

from collections.abc import Callable, Iterable
from inspect import isawaitable
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_leaf_type,
)
from orjson import Fragment
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

Complete = Callable[[Any], Any]
_AS_IT_IS: Final = {"String": str, "ID": str, "Boolean": bool}
"""Scalars whose Python values are JSON's own."""
_NULL: Final = "null where there must be a value"


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, with plans for lists of plain objects."""

    @classmethod
    def begun(cls, *arguments: Any, **named: Any) -> "CompiledExecutor | list[GraphQLError]":
        """The executor of an operation with its variables, as graphql-core builds it; or what is wrong with those."""
        return cast("CompiledExecutor | list[GraphQLError]", cls.build(*arguments, **named))

    async def result(self) -> ExecutionResult:
        """What comes of the operation."""
        result: Any = self.execute_operation()
        return cast("ExecutionResult", await result if isawaitable(result) else result)

    def complete_iterable_value(  # noqa: PLR0917 - graphql-core's own
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: Any,
        path: Any,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        if isinstance(items, list) and items and type(items[0]) is Fragment:
            return items  # all are written, or none
        plan = self._plan(item_type, field_details_list)
        if plan is not None:
            try:
                return [plan(item) for item in items]
            except Exception:  # noqa: S110 - graphql-core meets it again, and says where
                pass
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _plan(self, type_: GraphQLOutputType, details: Any) -> Complete | None:
        """How to complete a value of the type; None where that takes more than reading it."""
        bare = self._bare(_nullable(type_), details)
        if bare is None:
            return None
        return _required(bare) if isinstance(type_, GraphQLNonNull) else _optional(bare)

    def _bare(self, type_: GraphQLOutputType, details: Any) -> Complete | None:
        """The same for a value that is there."""
        if isinstance(type_, GraphQLList):
            each = self._plan(type_.of_type, details)
            return (lambda items: [each(item) for item in items]) if each is not None else None
        if is_leaf_type(type_):
            return type_.coerce_output_value
        if isinstance(type_, GraphQLObjectType):
            return self._object_plan(type_, details)
        return None

    def _object_plan(self, type_: GraphQLObjectType, details: Any) -> Complete | None:
        fields, defer, _ = self.collect_subfields(type_, details)
        if defer:
            return None
        steps: list[Step] = []
        for response_name, selected in fields.items():
            name = selected[0].node.name.value
            if name == "__typename":
                steps.append(Step(response_name, _constant(type_.name), str, str, required=True))
                continue
            field = type_.fields[name]
            attribute = _attribute(field)
            bare = self._bare(_nullable(field.type), selected) if attribute is not None else None
            if attribute is None or bare is None or any(each.node.directives for each in selected):
                return None
            plain = _AS_IT_IS.get(getattr(_nullable(field.type), "name", ""), _Nothing)
            required = isinstance(field.type, GraphQLNonNull)
            steps.append(Step(response_name, attrgetter(attribute), plain, bare, required))

        def whole(item: Any) -> Any:
            if type(item) is Fragment:
                return item
            completed = {}
            for name, read, plain, complete, required in steps:
                value = read(item)
                if type(value) is not plain:
                    value = None if value is None or value is Undefined else complete(value)
                    if value is None and required:
                        raise ValueError(_NULL)
                completed[name] = value
            return completed

        return whole


class Step(NamedTuple):
    """A field of an object, in the order of the selection."""

    name: str
    read: Callable[[Any], Any]
    plain: type
    """A value of exactly this type is complete."""
    complete: Complete
    required: bool


class _Nothing:
    """The type of no value."""


def _nullable(type_: GraphQLOutputType) -> GraphQLOutputType:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _attribute(field: Any) -> str | None:
    """The attribute that a field is; None for one that has a resolver or arguments."""
    if field.args or not getattr(field.resolve, "_is_default", False):
        return None
    definition = field.extensions.get("strawberry-definition")
    return definition.python_name if definition is not None and not definition.base_resolver else None


def _constant(value: str) -> Complete:
    return lambda _item: value


def _optional(complete: Complete) -> Complete:
    return lambda value: None if value is None or value is Undefined else complete(value)


def _required(complete: Complete) -> Complete:
    def whole(value: Any) -> Any:
        completed = None if value is None or value is Undefined else complete(value)
        if completed is None:
            raise ValueError(_NULL)
        return completed

    return whole
