"""Resolvers called without a detour: how a field's arguments are given to its function is worked out once a field.

Strawberry looks at the types of all arguments each time a field is asked for, which takes longer than most resolvers
do. What is done here is the same; a field that takes more (an argument of a type that is not known here, the object as
`self`) keeps Strawberry's own resolver.
"""

from collections.abc import Callable
from dataclasses import MISSING
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLObjectType
from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.field import StrawberryField

Convert = Callable[[Any], Any]


class _Argument(NamedTuple):
    """One that may be given to a field."""

    name: str
    """In the API."""
    python_name: str
    convert: Convert | None
    """How a coerced value is made into what the function takes; None for values that are it."""


class _DearerError(Exception):
    """It takes more than is known here."""


def call_directly(schema: strawberry.Schema) -> None:
    """Have the schema's fields call their functions directly."""
    for type_ in schema._schema.type_map.values():
        for field in type_.fields.values() if isinstance(type_, GraphQLObjectType) else ():
            definition = field.extensions.get("strawberry-definition")
            if definition is not None and definition.base_resolver is not None and not definition.is_subscription:
                try:
                    field.resolve = _direct(definition, schema)
                except _DearerError:
                    continue


def _direct(definition: StrawberryField, schema: strawberry.Schema) -> Callable[..., Any]:
    resolver = definition.base_resolver
    assert resolver is not None
    if definition.extensions or resolver.self_parameter:
        raise _DearerError
    function: Any = resolver.wrapped_func
    info_class = schema.config.info_class
    takes = [
        _Argument(
            schema.config.name_converter.from_argument(argument),
            argument.python_name,
            _converter(argument.type, schema),
        )
        for argument in definition.arguments
    ]
    info_name = resolver.info_parameter.name if resolver.info_parameter else None
    source_parameter = resolver.parent_parameter or resolver.root_parameter
    source_name = source_parameter.name if source_parameter else None

    def resolve(source: Any, info: Any, /, **given: Any) -> Any:
        arguments = {
            python_name: given[name] if convert is None else convert(given[name])
            for name, python_name, convert in takes
            if name in given
        }
        if info_name is not None:
            arguments[info_name] = info_class(_raw_info=info, _field=definition)
        if source_name is not None:
            arguments[source_name] = source
        return function(**arguments)

    return resolve


def _converter(type_: Any, schema: strawberry.Schema) -> Convert | None:
    if type(type_) is StrawberryOptional:
        return _or_none(_converter(type_.of_type, schema))
    if type(type_) is StrawberryList:
        each = _converter(type_.of_type, schema)
        return _or_none(list if each is None else lambda values: [each(value) for value in values])
    if isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_):
        return None  # graphql-core has made a member of it
    if has_object_definition(type_):
        return _or_none(_input_of(type_, schema))
    if isinstance(type_, type) or type_ in schema.schema_converter.scalar_registry:
        return None
    raise _DearerError


def _input_of(type_: type, schema: strawberry.Schema) -> Convert:
    definition = get_object_definition(type_, strict=True)
    if definition.from_input is not None or any(field.default_value is not MISSING for field in definition.fields):
        raise _DearerError
    fields = [
        _Argument(
            schema.config.name_converter.from_field(field),
            field.python_name,
            _converter(field.resolve_type(type_definition=definition), schema),
        )
        for field in definition.fields
    ]

    def made(value: Any) -> Any:
        return type_(
            **{
                python_name: convert(value[name]) if convert is not None and name in value else value.get(name)
                for name, python_name, convert in fields
            }
        )

    return made


def _or_none(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda value: None if value is None else convert(value)
