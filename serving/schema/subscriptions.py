"""Subscriptions: what the query of that name answers, now and again with every commit.

They are told by the commit, not by polling. Each event is a query run once for all who ask the same; a reader who is
slow gets only the newest epoch.
"""

import strawberry

from serving.errors import NotReady
from serving.schema.alerts import Alert, open_alerts
from serving.schema.common import AsOf, BotFilter, Bots
from serving.schema.context import Info
from serving.schema.realtime import EarlierDay, Realtime, TodaysZone
from serving.schema.realtime import realtime as query_realtime


async def _epochs(info: Info) -> AsOf:
    row = await info.context.snapshot.as_of()
    if row is None:
        raise NotReady("There is no epoch yet.")
    return AsOf.of(row)


async def _realtime(
    info: Info,
    time_zone: TodaysZone = None,
    bots: Bots = BotFilter.EXCLUDE,
    compare_with: EarlierDay = None,
) -> Realtime:
    found = await query_realtime(info, time_zone, bots, compare_with)
    if found is None:
        raise NotReady("There is no epoch yet.")
    return found


@strawberry.type(description="Answers that come again whenever they change, with the epoch in `extensions`.")
class Subscription:
    epochs: AsOf = strawberry.field(
        resolver=_epochs, description="Every commit, as it happens; the newest one first, at once."
    )
    alerts: list[Alert] = strawberry.field(
        resolver=open_alerts, description="The open alerts, at once and again whenever one changes."
    )
    realtime: Realtime = strawberry.field(
        resolver=_realtime, description="The shop just now, at once and again with every commit."
    )
