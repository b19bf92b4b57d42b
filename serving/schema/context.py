"""What resolvers are given: the parts of the process, and the operation's own snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import strawberry
from strawberry.types.nodes import FragmentSpread, InlineFragment, SelectedField, Selection

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
    asked = {name for root in info.selected_fields for name in _names(root.selections)}
    return asked.intersection(names)


def selected_below(info: Info, names: Iterable[str]) -> set[str]:
    """Which of the fields the operation asks for anywhere below this root: under `nodes` as well as `edges`."""
    asked = {name for root in info.selected_fields for name in _names_below(root.selections)}
    return asked.intersection(names)


def _names(selections: Iterable[Selection | Any]) -> Iterable[str]:
    for selection in selections:
        if isinstance(selection, SelectedField):
            yield selection.name
        elif isinstance(selection, FragmentSpread | InlineFragment):
            yield from _names(selection.selections)


def _names_below(selections: Iterable[Selection | Any]) -> Iterable[str]:
    yield from _names(selections)
    for selection in selections:
        yield from _names_below(selection.selections)
