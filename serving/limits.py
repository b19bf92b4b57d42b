"""What one document may ask for by its shape: how large, how deep, how wide once its fragments are expanded.

The limits on ranges, rows and pages stand where those are read. Fragments are measured once each and their numbers
added up, so that a document whose fragments expand to millions of fields costs no more than its own length.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from serving.settings import ServingSettings

_PLENTY: Final = 10**9
"""Counts end here: more is too much anyway, and numbers of a thousand digits are slow."""


class Size(NamedTuple):
    """Of a selection, fragments expanded."""

    fields: int
    aliases: int
    depth: int


@dataclass(frozen=True)
class Shape:
    """The limits."""

    max_tokens: int
    max_depth: int
    max_aliases: int
    max_fields: int

    @classmethod
    def of(cls, settings: ServingSettings) -> "Shape":
        """Those of the settings."""
        return cls(settings.max_tokens, settings.max_depth, settings.max_aliases, settings.max_fields)

    def faults(self, document: DocumentNode) -> list[GraphQLError]:
        """What is over a limit, operation by operation."""
        measure = _Measure(document)
        found = []
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                size = measure.of(node.selection_set)
                for what, is_, most in (
                    ("fields, fragments expanded", size.fields, self.max_fields),
                    ("aliases", size.aliases, self.max_aliases),
                    ("levels deep", size.depth, self.max_depth),
                ):
                    if is_ > most:
                        told = f"{is_}" if is_ < _PLENTY else "Far too many"
                        found.append(GraphQLError(f"{told} {what}; the limit is {most}.", [node]))
        return found


class _Measure:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._sizes: dict[str, Size] = {}

    def of(self, selections: SelectionSetNode) -> Size:
        fields = aliases = depth = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                below = self.of(node.selection_set) if node.selection_set else Size(0, 0, 0)
                # What introspection asks for lies deep, and is small.
                deep = 0 if node.name.value.startswith("__") else below.depth + bool(node.selection_set)
                size = Size(below.fields + 1, below.aliases + (node.alias is not None), deep)
            elif isinstance(node, InlineFragmentNode):
                size = self.of(node.selection_set)
            else:
                assert isinstance(node, FragmentSpreadNode)
                size = self._fragment(node.name.value)
            fields, aliases, depth = fields + size.fields, aliases + size.aliases, max(depth, size.depth)
        return Size(min(fields, _PLENTY), min(aliases, _PLENTY), depth)

    def _fragment(self, name: str) -> Size:
        """Nothing for a fragment that is not there or contains itself: validation says so."""
        if name not in self._sizes:
            self._sizes[name] = Size(0, 0, 0)
            if name in self._fragments:
                self._sizes[name] = self.of(self._fragments[name].selection_set)
        return self._sizes[name]
