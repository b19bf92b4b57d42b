"""What resolvers are given: the parts of the process, and the operation's own snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import strawberry
from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, InlineFragmentNode, SelectionSetNode

from contracts.settings import ShopSettings
from serving.database import Database, Snapshot
from serving.event_log import EventLog, Reading
from serving.feed import EpochFeed
from serving.queries import ResultRow
from serving.settings import ServingSettings


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
    return {field.name.value for field in _fields(_below(raw.field_nodes), raw)}.intersection(names)


def selected_below(info: Info, names: Iterable[str]) -> set[str]:
    """Which of the fields the operation asks for anywhere below this root: under `nodes` as well as `edges`."""
    raw, found = info._raw_info, set[str]()
    level = list(_fields(_below(raw.field_nodes), raw))
    while level:
        found.update(field.name.value for field in level)
        level = list(_fields(_below(level), raw))
    return found.intersection(names)


def _below(fields: Iterable[FieldNode]) -> Iterable[SelectionSetNode]:
    return (field.selection_set for field in fields if field.selection_set)


def _fields(selections: Iterable[SelectionSetNode], raw: GraphQLResolveInfo[Any]) -> Iterable[FieldNode]:
    for node in (node for each in selections for node in each.selections):
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _fields([node.selection_set], raw)
        elif isinstance(node, FragmentSpreadNode):
            yield from _fields([raw.fragments[node.name.value].selection_set], raw)
