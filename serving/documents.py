"""Documents, parsed and checked once: what a text of GraphQL means, or why it can not be run."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from contracts.keys import ReadScope
from serving.access import scopes_of
from serving.allowed import Allowed
from serving.errors import describe
from serving.limits import Shape

_MOST_REMEMBERED: Final = 512
_LONGEST_REMEMBERED: Final = 32 * 1024
EPOCHAL: Final = frozenset(
    {
        "__typename",
        "asOf",
        "productMetrics",
        "revenue",
        "topProducts",
        "alsoViewed",
        "sessions",
        "session",
        "sessionMetrics",
        "conversions",
        "cartAbandonment",
        "funnel",
        "journeys",
        "users",
        "user",
        "retention",
        "segments",
        "report",
        "reportDays",
        "reportDaysConnection",
        "realtime",
        "sales",
        "rejections",
        "lateness",
        "duplicates",
    }
)
"""Roots whose answer changes with an epoch, or with what is notified as a change, and never otherwise."""
EPOCHAL_SUBSCRIPTIONS: Final = frozenset({"__typename", "epochs", "realtime"})
"""The same of subscriptions; each of their events is as of the moment of its commit."""
_OF_THE_MOMENT: Final = frozenset({"lag", "lagSeconds"})
"""Fields that are of the moment in which they are read."""


class Root(NamedTuple):
    """A root field of an operation."""

    node: FieldNode
    below: frozenset[str]
    """Names of all fields under it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that can be run."""

    document: DocumentNode
    name: str | None
    kind: OperationType
    roots: tuple[Root, ...]
    variables: tuple[VariableDefinitionNode, ...]
    epochal: bool
    """Whether its answer is the same as long as the epoch is."""
    scopes: frozenset[ReadScope]
    """What its client must be allowed."""
    of_alerts: bool = False
    """Whether it is a subscription of alerts, which change outside of epochs."""

    @property
    def shareable(self) -> bool:
        """Whether its answer may be kept outside of this process: numbers over many, nothing of single people."""
        return self.epochal and self.scopes == {"analytics"}


@dataclass(frozen=True, slots=True)
class Unusable:
    """A document that can not be run, and why."""

    errors: tuple[GraphQLError, ...]
    parsed: bool
    """Whether it is GraphQL at all."""
    writes: bool = False
    """Whether there is a mutation in it."""


_NOT_ALLOWED: Final = GraphQLError(
    "This server runs only the documents it was given.", extensions={"code": "DOCUMENT_NOT_ALLOWED"}
)


class Documents:
    """Texts to operations. The newest ones are remembered, good or bad."""

    def __init__(
        self, schema: GraphQLSchema, shape: Shape, allowed: Allowed | None = None, *, introspection: bool = True
    ) -> None:
        self._schema = schema
        self._shape = shape
        self._allowed = allowed
        self._rules = [*specified_rules] if introspection else [*specified_rules, NoSchemaIntrospectionCustomRule]
        self._known: OrderedDict[str, dict[str | None, Operation] | Unusable] = OrderedDict()

    def operation(self, text: str, name: str | None) -> Operation | Unusable:
        """The operation of that name; without a name, the only one there is."""
        if self._allowed is not None:
            listed = self._allowed.text(text)
            if listed is None:
                return Unusable((_NOT_ALLOWED,), parsed=True)
            text = listed
        found = self._known.get(text)
        if found is None:
            found = self._read(text)
            if len(text) <= _LONGEST_REMEMBERED:
                self._known[text] = found
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
        else:
            self._known.move_to_end(text)
        if isinstance(found, Unusable):
            return found
        if name is None and len(found) == 1:
            return next(iter(found.values()))
        if name not in found or name is None:
            message = f"There is no operation {name[:80]!r} in it." if name else "Several operations: name one."
            return Unusable((describe(GraphQLError(message)),), parsed=True)
        return found[name]

    def _read(self, text: str) -> dict[str | None, Operation] | Unusable:
        try:
            document = parse(text, max_lexical_tokens=self._shape.max_tokens, max_comments=self._shape.max_tokens)
        except GraphQLError as error:
            return Unusable((describe(error),), parsed=False)
        except RecursionError:
            return Unusable((describe(GraphQLError("The document is nested too deep.")),), parsed=False)
        errors = self._shape.faults(document) or validate(
            self._schema, document, self._rules, max_errors=5, hide_suggestions=True
        )
        if errors:
            writes = any(getattr(each, "operation", None) is OperationType.MUTATION for each in document.definitions)
            return Unusable(tuple(describe(error) for error in errors), parsed=True, writes=writes)
        fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
        operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        return {each.name.value if each.name else None: _operation(document, each, fragments) for each in operations}


def _operation(
    document: DocumentNode, node: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]
) -> Operation:
    roots = tuple(_roots(node.selection_set, fragments))
    names = {root.node.name.value for root in roots}
    below = frozenset[str]().union(*(root.below for root in roots))
    return Operation(
        document,
        node.name.value if node.name else None,
        node.operation,
        roots,
        tuple(node.variable_definitions or ()),
        _epochal(node.operation, names, below),
        scopes_of(node.operation, names, below),
        node.operation is OperationType.SUBSCRIPTION and "alerts" in names,
    )


def _roots(selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[Root]:
    for node in selections.selections:
        if isinstance(node, FieldNode):
            names: set[str] = set()
            if node.selection_set:
                _gather(node.selection_set, fragments, names, set())
            yield Root(node, frozenset(names))
        elif isinstance(node, InlineFragmentNode):
            yield from _roots(node.selection_set, fragments)
        elif isinstance(node, FragmentSpreadNode):
            yield from _roots(fragments[node.name.value].selection_set, fragments)


def _gather(
    selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], names: set[str], seen: set[str]
) -> None:
    """Add the names of all fields below; each fragment is looked into once."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            names.add(node.name.value)
            if node.selection_set:
                _gather(node.selection_set, fragments, names, seen)
        elif isinstance(node, InlineFragmentNode):
            _gather(node.selection_set, fragments, names, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            _gather(fragments[node.name.value].selection_set, fragments, names, seen)


def _epochal(kind: OperationType, roots: set[str], below: frozenset[str]) -> bool:
    if roots == {"__typename"}:
        return False  # it reads nothing
    if kind is OperationType.SUBSCRIPTION:
        return roots <= EPOCHAL_SUBSCRIPTIONS
    return kind is OperationType.QUERY and roots <= EPOCHAL and not below & _OF_THE_MOMENT
