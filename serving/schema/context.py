"""What resolvers are given: the parts of the process, and the operation's own snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import strawberry
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)

from contracts.settings import ShopSettings
from serving.database import Database
from serving.event_log import EventLog, Reading
from serving.feed import EpochFeed
from serving.queries import ResultRow
from serving.settings import ServingSettings
from serving.snapshot import Snapshot


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the process."""

    database: Database
    feed: EpochFeed
    settings: ServingSettings
    shop: ShopSettings
    event_log: EventLog

    @property
    def session_gap(self) -> timedelta:
        """Inactivity that ends a session."""
        return timedelta(seconds=self.shop.session_gap_seconds)


@dataclass(frozen=True)
class OperationContext:
    """One operation, which reads one snapshot: of all that one WebSocket carries, each its own."""

    services: Services
    snapshot: Snapshot
    client: str = ""
    """Who asks: the source of a key, or an address."""

    async def logged(self, reading: Reading) -> Sequence[ResultRow]:
        """The rows that the event log answers with. Raises Unavailable, TooLarge."""
        return await self.services.event_log.read(reading, self.snapshot)


Info = strawberry.Info[OperationContext, None]


def selected(info: Info, names: Iterable[str]) -> set[str]:
    """Which of the fields, named as in the API, the operation asks this root's objects for."""
    raw = info._raw_info
    return {field.name.value for field in _fields(raw.field_nodes, raw)}.intersection(names)


def selected_below(info: Info, names: Iterable[str]) -> set[str]:
    """Which of the fields the operation asks for anywhere below this root: under `nodes` as well as `edges`."""
    raw, found = info._raw_info, set[str]()
    level = list(_fields(raw.field_nodes, raw))
    while level:
        found.update(field.name.value for field in level)
        level = list(_fields(level, raw))
    return found.intersection(names)


def selections_of(fields: Iterable[FieldNode], raw: GraphQLResolveInfo[Any]) -> Iterable[SelectionNode]:
    """All that is selected right below the fields: each fragment, and after it what is in it."""
    return _selections((field.selection_set for field in fields), raw)


def _selections(sets: Iterable[SelectionSetNode | None], raw: GraphQLResolveInfo[Any]) -> Iterable[SelectionNode]:
    for node in (node for each in sets if each for node in each.selections):
        yield node
        if isinstance(node, InlineFragmentNode):
            yield from _selections([node.selection_set], raw)
        elif isinstance(node, FragmentSpreadNode):
            yield from _selections([raw.fragments[node.name.value].selection_set], raw)


def _fields(fields: Iterable[FieldNode], raw: GraphQLResolveInfo[Any]) -> Iterable[FieldNode]:
    return (node for node in selections_of(fields, raw) if isinstance(node, FieldNode))
