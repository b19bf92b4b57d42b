"""Writes a client: the runtime, and for each operation of some documents a function and what its answer is read into.

Names are those of the documents, spelt as Python's: the answer of `query BestSellers` is a `BestSellers`, and what its
field `topProducts` holds is a `BestSellersTopProducts` under `top_products`. Documents are sent as they are written, so
that a server with a list of allowed documents knows them.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Source,
    build_schema,
    is_required_input_field,
    parse,
    type_from_ast,
    validate,
)

from contracts.client import python, runtime

SDL: Final = Path(__file__).resolve().parent.parent / "schema.graphql"
_SCALARS: Final = {
    "Boolean": "bool",
    "DateTime": "datetime",
    "Decimal": "Decimal",
    "Duration": "timedelta",
    "Float": "float",
    "ID": "str",
    "Int": "int",
    "Long": "int",
    "String": "str",
}
"""Python's type of each; msgspec reads and writes all of them as the API does."""


class Document(NamedTuple):
    """A GraphQL document: whole, with the fragments that it uses."""

    name: str
    text: str


class NoClient(Exception):  # noqa: N818 - it reads as what it is
    """The documents are not ones to make a client of; the message has the place and the reason."""


def client(sdl: str, documents: Sequence[Document], command: str) -> str:
    """The source of a client for the documents; `command` is what makes it again. Raises NoClient."""
    module = _Module(build_schema(sdl))
    for document in documents:
        try:
            module.add(document)
        except GraphQLError as error:
            raise NoClient(str(error)) from error
    head = f"# ruff: noqa: E501\n# Made by `{command}`: make it anew rather than change it.\n"
    return head + "\n\n".join([Path(runtime.__file__).read_text("utf-8"), *module.parts])


class _Selected(NamedTuple):
    """A field of an answer, asked for once or several times."""

    nodes: list[FieldNode]
    always: list[bool]
    """Of each node, whether no directive can leave it out."""

    @property
    def below(self) -> list[tuple[SelectionSetNode, bool]]:
        """What is asked for below it; and whether that is there whenever the field is."""
        alone = len(self.nodes) == 1
        told = zip(self.nodes, self.always, strict=True)
        return [(node.selection_set, always or alone) for node, always in told if node.selection_set is not None]


class _Module:
    """What follows the runtime: `parts`, each after those that it uses."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.parts: list[str] = []
        self._owners: dict[str, object] = dict.fromkeys(vars(runtime), runtime)
        self._fragments: dict[str, FragmentDefinitionNode] = {}

    def add(self, document: Document) -> None:
        """The operations of a document. Raises NoClient, GraphQLError."""
        tree = parse(Source(document.text, document.name))
        for error in validate(self._schema, tree):
            raise error
        self._fragments = {
            node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)
        }
        text = self._owned(f"_TEXT_{sum(name.startswith('_TEXT_') for name in self._owners) + 1}", document)
        self.parts.append(python.constant(text, document.text))
        for node in tree.definitions:
            if isinstance(node, OperationDefinitionNode):
                self._operation(node, document.name, text)

    def _operation(self, node: OperationDefinitionNode, document: str, text: str) -> None:
        root = self._schema.get_root_type(node.operation)
        assert root is not None
        if node.name is None:
            raise NoClient(f"{document}: an operation has no name, which its function would have")
        name = node.name.value
        answer = self._struct(root, python.class_name(name), [(node.selection_set, True)])
        arguments = [
            python.Argument(
                variable.variable.name.value,
                _typed(type_from_ast(self._schema, variable.type), self._taken),
                optional=variable.default_value is not None or not isinstance(variable.type, NonNullTypeNode),
            )
            for variable in node.variable_definitions or ()
        ]
        kind = "Subscription" if node.operation is OperationType.SUBSCRIPTION else "Operation"
        function = self._owned(python.name(name), node)
        body = {"document": text, "name": f'"{name}"', "answer": answer}
        self.parts.append(python.function(function, f"{kind}[{answer}]", f"`{name}` of {document}.", arguments, body))

    def _struct(self, kind: GraphQLObjectType, name: str, sets: Iterable[tuple[SelectionSetNode, bool]]) -> str:
        """A class for the selected fields of an object."""
        self._owned(name, object())
        fields = []
        for key, selected in self._selected(kind, sets).items():
            field = kind.fields.get(selected.nodes[0].name.value)  # only `__typename` is not among them
            named = partial(self._told, name + python.class_name(key), selected)
            told = _typed(field.type, named) if field else "str"
            optional = not any(selected.always)
            if optional and not told.endswith(" | None"):
                told += " | None"
            fields.append(python.Field(key, told, field.description if field else None, optional))
        if len({python.name(field.name) for field in fields}) < len(fields):
            raise NoClient(f"{name}: two of its fields would have the same name; give one an alias")
        self.parts.append(python.struct(name, kind.description, fields))
        return name

    def _told(self, name: str, selected: _Selected, kind: Any) -> str:
        """The type of what an answer holds."""
        match kind:
            case GraphQLObjectType():
                return self._struct(kind, name, selected.below)
            case GraphQLEnumType():
                return self._enum(kind)
            case GraphQLScalarType():
                return _scalar(kind)
        raise NoClient(f"{kind.name}: what may be of one of several types is not read")

    def _taken(self, kind: Any) -> str:
        """The type of what a variable holds."""
        match kind:
            case GraphQLInputObjectType():
                return self._input(kind)
            case GraphQLEnumType():
                return self._enum(kind)
        return _scalar(kind)

    def _input(self, kind: GraphQLInputObjectType) -> str:
        if self._owners.get(kind.name) is not kind:
            fields = [
                python.Field(
                    name, _typed(one.type, self._taken), one.description, optional=not is_required_input_field(one)
                )
                for name, one in kind.fields.items()
            ]
            self.parts.append(python.struct(self._owned(kind.name, kind), kind.description, fields))
        return kind.name

    def _enum(self, kind: GraphQLEnumType) -> str:
        if self._owners.get(kind.name) is not kind:
            meanings = {name: value.description for name, value in kind.values.items()}
            self.parts.append(python.enum(self._owned(kind.name, kind), kind.description, meanings))
        return kind.name

    def _selected(self, kind: GraphQLObjectType, sets: Iterable[tuple[SelectionSetNode, bool]]) -> dict[str, _Selected]:
        """The fields by the key that each has in the answer, in order, fragments put in."""
        found: dict[str, _Selected] = {}
        for selection_set, always in sets:
            for node in selection_set.selections:
                here = always and not node.directives  # @skip and @include are all there are
                match node:
                    case FieldNode():
                        key = node.alias.value if node.alias else node.name.value
                        selected = found.setdefault(key, _Selected([], []))
                        selected.nodes.append(node)
                        selected.always.append(here)
                    case FragmentSpreadNode() | InlineFragmentNode():
                        fragment = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
                        for key, inner in self._selected(kind, [(fragment.selection_set, here)]).items():
                            selected = found.setdefault(key, _Selected([], []))
                            selected.nodes.extend(inner.nodes)
                            selected.always.extend(inner.always)
        return found

    def _owned(self, name: str, owner: object) -> str:
        """The name, which nothing else may have."""
        if name in self._owners:
            raise NoClient(f"the name {name} would be there twice; call the operation, or a field of it, otherwise")
        self._owners[name] = owner
        return name


def _typed(kind: Any, named: Callable[[Any], str]) -> str:
    """Python's type for one of GraphQL's."""
    if isinstance(kind, GraphQLNonNull):
        return _typed(kind.of_type, named).removesuffix(" | None")
    inner = f"list[{_typed(kind.of_type, named)}]" if isinstance(kind, GraphQLList) else named(kind)
    return f"{inner} | None"


def _scalar(kind: GraphQLScalarType) -> str:
    if kind.name not in _SCALARS:
        raise NoClient(f"the scalar {kind.name} has no type in Python; contracts/client/generate.py lists them")
    return _SCALARS[kind.name]
