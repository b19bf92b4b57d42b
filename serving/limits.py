"""What one document may ask for by its shape: how large, how deep, how wide once its fragments are expanded.

The limits on ranges, rows and pages stand where those are read. Fragments are measured once each and their numbers
added up, so that a document whose fragments expand to millions of fields costs no more than its own length. What is
within the limits takes some milliseconds to be validated (decision 26); that is done while everybody else waits.
"""

from collections.abc import Iterator, Sequence
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
    max_repeats: int
    max_definitions: int

    @classmethod
    def of(cls, settings: ServingSettings) -> "Shape":
        """Those of the settings."""
        return cls(
            settings.max_tokens,
            settings.max_depth,
            settings.max_aliases,
            settings.max_fields,
            settings.max_repeats,
            settings.max_definitions,
        )

    def faults(self, document: DocumentNode) -> list[GraphQLError]:
        """What is over a limit, operation by operation."""
        if len(document.definitions) > self.max_definitions:
            told = f"{len(document.definitions)} operations and fragments; the limit is {self.max_definitions}."
            return [GraphQLError(told)]
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
                if not found and measure.repeats(node.selection_set, self.max_fields) > self.max_repeats:
                    told = f"Over {self.max_repeats} fields are asked for again where they are already."
                    found.append(GraphQLError(told, [node]))
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
                below = self.of(node.selection_set)
                size = below._replace(depth=below.depth + 1)  # a level: nothing is said by one in another
            else:
                assert isinstance(node, FragmentSpreadNode)
                size = self._fragment(node.name.value)
            fields, aliases, depth = fields + size.fields, aliases + size.aliases, max(depth, size.depth)
        return Size(min(fields, _PLENTY), min(aliases, _PLENTY), depth)

    def repeats(self, selections: SelectionSetNode, most: int) -> int:
        """Fields whose name in the answer stands in the same place already; of the first `most` fields.

        There are no more of them but where fragments contain themselves, which is for validation to say.
        """
        found = looked_at = 0
        ahead: list[Sequence[SelectionSetNode]] = [[selections]]
        while ahead:
            below: dict[str, list[SelectionSetNode]] = {}
            for field in self._fields(ahead.pop()):
                name = (field.alias or field.name).value
                found += name in below
                below.setdefault(name, []).extend([field.selection_set] if field.selection_set else ())
                looked_at += 1
                if looked_at > most:
                    return found
            ahead += [sets for sets in below.values() if sets]
        return found

    def _fields(self, sets: Sequence[SelectionSetNode]) -> Iterator[FieldNode]:
        """All that stand in one place: of several sets together, with the fields of each fragment once."""
        ahead, seen = [*sets], set[str]()
        while ahead:
            for node in ahead.pop().selections:
                if isinstance(node, FieldNode):
                    yield node
                elif isinstance(node, InlineFragmentNode):
                    ahead.append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                    seen.add(node.name.value)
                    if node.name.value in self._fragments:
                        ahead.append(self._fragments[node.name.value].selection_set)

    def _fragment(self, name: str) -> Size:
        """Nothing for a fragment that is not there or contains itself: validation says so."""
        if name not in self._sizes:
            self._sizes[name] = Size(0, 0, 0)
            if name in self._fragments:
                self._sizes[name] = self.of(self._fragments[name].selection_set)
        return self._sizes[name]
