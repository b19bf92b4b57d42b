"""Completing lists without asking field by field: what a selection takes from an object is worked out once a list.

Where all that is selected of an object are values that it holds, a plan reads them off; anything else (a field with a
resolver or arguments, a value that does not fit its type) is left to graphql-core, whose result is the same.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from graphql import (
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_leaf_type,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

Complete = Callable[[Any], Any]
_AS_IT_IS: Final = {"String": str, "ID": str, "Boolean": bool}
"""Scalars whose Python values are JSON's own."""


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, with plans for lists of plain objects."""

    def complete_iterable_value(  # noqa: PLR0917 - graphql-core's own
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: Any,
        path: Any,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        plan = self._plan(item_type, field_details_list)
        if plan is not None:
            try:
                return [plan(item) for item in items]
            except Exception:  # noqa: S110 - graphql-core meets it again, and says where
                pass
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _plan(self, type_: GraphQLOutputType, details: Any) -> Complete | None:
        """How to complete a value of the type; None where that takes more than reading it."""
        if isinstance(type_, GraphQLNonNull):
            inner = self._plan(type_.of_type, details)
            return _required(inner) if inner is not None else None
        if isinstance(type_, GraphQLList):
            each = self._plan(type_.of_type, details)
            return _optional(lambda items: [each(item) for item in items]) if each is not None else None
        if is_leaf_type(type_):
            return _optional(_leaf(type_))
        if isinstance(type_, GraphQLObjectType):
            return self._object_plan(type_, details)
        return None

    def _object_plan(self, type_: GraphQLObjectType, details: Any) -> Complete | None:
        fields, defer, _ = self.collect_subfields(type_, details)
        if defer:
            return None
        steps: list[tuple[str, Complete]] = []
        for response_name, selected in fields.items():
            name = selected[0].node.name.value
            if name == "__typename":
                steps.append((response_name, _constant(type_.name)))
                continue
            field = type_.fields[name]
            attribute = _attribute(field)
            complete = self._plan(field.type, selected) if attribute is not None else None
            if attribute is None or complete is None or any(each.node.directives for each in selected):
                return None
            steps.append((response_name, _read(attribute, complete)))

        def whole(item: Any) -> dict[str, Any]:
            return {name: read(item) for name, read in steps}

        return _optional(whole)


def _attribute(field: Any) -> str | None:
    """The attribute that a field is; None for one that has a resolver or arguments."""
    if field.args or not getattr(field.resolve, "_is_default", False):
        return None
    definition = field.extensions.get("strawberry-definition")
    return definition.python_name if definition is not None and not definition.base_resolver else None


def _leaf(type_: GraphQLLeafType) -> Complete:
    coerce = type_.coerce_output_value
    plain = _AS_IT_IS.get(type_.name)
    if plain is not None:
        return lambda value: value if type(value) is plain else coerce(value)
    return coerce


def _constant(value: str) -> Complete:
    return lambda _item: value


def _read(attribute: str, complete: Complete) -> Complete:
    return lambda item: complete(getattr(item, attribute))


def _optional(complete: Complete) -> Complete:
    return lambda value: None if value is None or value is Undefined else complete(value)


def _required(complete: Complete) -> Complete:
    def whole(value: Any) -> Any:
        completed = complete(value)
        if completed is None:
            raise ValueError("null where there must be a value")
        return completed

    return whole
