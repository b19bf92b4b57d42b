"""Subscriptions: told by the commit, not by polling; a slow reader gets only the newest epoch."""

from collections.abc import AsyncIterator

import strawberry

from serving.errors import TryLater
from serving.schema.common import AsOf, BotFilter
from serving.schema.context import Info, Services
from serving.schema.realtime import Realtime, read_realtime
from serving.schema.revenue import checked_zone


async def epochs(info: Info) -> AsyncIterator[AsOf]:
    """The newest commit now, then each one."""
    services = info.context.services
    async for epoch in services.feed.epochs():
        try:
            sent = await services.live.get(epoch, "epochs", lambda: _as_of(services))
        except TryLater:
            continue  # the database went away after it told us; the feed comes back with the next epoch
        if sent is not None:
            yield sent


async def realtime(
    info: Info, time_zone: str | None = None, bots: BotFilter = BotFilter.EXCLUDE
) -> AsyncIterator[Realtime]:
    """The shop just now, then again at each commit."""
    services = info.context.services
    zone = checked_zone(time_zone or services.shop.time_zone)
    async for epoch in services.feed.epochs():
        try:
            sent = await services.live.get(epoch, ("realtime", zone, bots), lambda: _realtime(services, zone, bots))
        except TryLater:
            continue
        if sent is not None:
            yield sent


async def _as_of(services: Services) -> AsOf | None:
    snapshot = services.database.snapshot()
    try:
        row = await snapshot.as_of()
        return AsOf.of(row) if row else None
    finally:
        await snapshot.close()


async def _realtime(services: Services, zone: str, bots: BotFilter) -> Realtime | None:
    snapshot = services.database.snapshot()
    try:
        return await read_realtime(services, snapshot, zone, bots, {"users", "buyers"})
    finally:
        await snapshot.close()


@strawberry.type
class Subscription:
    epochs: AsyncIterator[AsOf] = strawberry.subscription(
        resolver=epochs, description="Every commit, as it happens; the newest one first, at once."
    )
    realtime: AsyncIterator[Realtime] = strawberry.subscription(
        resolver=realtime, description="The shop just now, at once and again with every commit."
    )
