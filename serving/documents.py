"""Documents, parsed and checked once: what a text of GraphQL means, or why it can not be run."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    validate,
)

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
        "sessions",
        "session",
        "conversions",
        "funnel",
        "journeys",
        "users",
        "user",
        "retention",
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
_OF_THE_MOMENT: Final = frozenset({"lagSeconds"})
"""Fields that are of the moment in which they are read."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that can be run."""

    document: DocumentNode
    name: str | None
    kind: OperationType
    epochal: bool
    """Whether its answer is the same as long as the epoch is."""
    of_alerts: bool = False
    """Whether it is a subscription of alerts, which change outside of epochs."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A document that can not be run, and why."""

    errors: tuple[GraphQLError, ...]
    parsed: bool
    """Whether it is GraphQL at all."""
    writes: bool = False
    """Whether there is a mutation in it."""


class Documents:
    """Texts to operations. The newest ones are remembered, good or bad."""

    def __init__(self, schema: GraphQLSchema, shape: Shape) -> None:
        self._schema = schema
        self._shape = shape
        self._known: OrderedDict[str, dict[str | None, Operation] | Unusable] = OrderedDict()

    def operation(self, text: str, name: str | None) -> Operation | Unusable:
        """The operation of that name; without a name, the only one there is."""
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
        errors = self._shape.faults(document) or validate(self._schema, document, max_errors=5, hide_suggestions=True)
        if errors:
            writes = any(getattr(each, "operation", None) is OperationType.MUTATION for each in document.definitions)
            return Unusable(tuple(describe(error) for error in errors), parsed=True, writes=writes)
        fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
        return {
            each.name.value if each.name else None: Operation(
                document,
                each.name.value if each.name else None,
                each.operation,
                _epochal(each, fragments),
                each.operation is OperationType.SUBSCRIPTION and "alerts" in _roots(each, fragments)[0],
            )
            for each in document.definitions
            if isinstance(each, OperationDefinitionNode)
        }


def _roots(
    operation: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]
) -> tuple[set[str], set[str]]:
    """Names of the root fields, and of all that are below them."""
    roots: set[str] = set()
    below: set[str] = set()
    seen: set[str] = set()

    def visit(selections: SelectionSetNode, into: set[str]) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                into.add(node.name.value)
                if node.selection_set:
                    visit(node.selection_set, below)
            elif isinstance(node, InlineFragmentNode):
                visit(node.selection_set, into)
            elif isinstance(node, FragmentSpreadNode):
                key = f"{into is roots}{node.name.value}"
                if key not in seen:
                    seen.add(key)
                    visit(fragments[node.name.value].selection_set, into)

    visit(operation.selection_set, roots)
    return roots, below


def _epochal(operation: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]) -> bool:
    roots, below = _roots(operation, fragments)
    if roots == {"__typename"}:
        return False  # it reads nothing
    if operation.operation is OperationType.SUBSCRIPTION:
        return roots <= EPOCHAL_SUBSCRIPTIONS
    return operation.operation is OperationType.QUERY and roots <= EPOCHAL and not below & _OF_THE_MOMENT
