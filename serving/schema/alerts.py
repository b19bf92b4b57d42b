"""What people should know of, and saying that somebody sees to it."""

from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Annotated, Final

import strawberry

from serving.cursors import ALERTS, Key
from serving.errors import InvalidArgument
from serving.queries import ResultRow
from serving.queries.alerts import acknowledge, alerts_page, one_alert
from serving.queries.paging import Page
from serving.schema.anomalies import Severity
from serving.schema.common import page_size
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.scalars import Long

_LONGEST_NAME = 100
_SUBSCRIBED = 50


@strawberry.enum(description="What an alert is about.")
class AlertKind(Enum):
    DATA = strawberry.enum_value("data", description="The data are at fault: do not trust the numbers of that time.")
    SHOP = strawberry.enum_value("shop", description="The shop's numbers say so.")


@strawberry.enum(description="Which alerts are meant.")
class AlertStatus(Enum):
    OPEN = strawberry.enum_value("open", description="It holds still.")
    RESOLVED = strawberry.enum_value("resolved", description="It holds no more.")
    ALL = strawberry.enum_value("all", description="Open and resolved ones.")


@strawberry.type(description="One thing that an alert holds for.")
class AlertMember:
    scope: str = strawberry.field(
        description="`site`, `category`, `product`, `device`, `medium`, `source`, `topic` or `books`."
    )
    subject: str = strawberry.field(description="Which one; empty where there is but one.")
    says: str = strawberry.field(description="A sentence with the numbers.")


@strawberry.enum(description="What a notice of an alert says.")
class AlertEvent(Enum):
    OPENED = strawberry.enum_value("opened", description="It began to hold.")
    CHANGED = strawberry.enum_value("changed", description="It got worse, or holds for more.")
    ACKNOWLEDGED = strawberry.enum_value("acknowledged", description="Somebody sees to it.")
    RESOLVED = strawberry.enum_value("resolved", description="It holds no more.")


@strawberry.type(description="One notice of an alert to one destination.")
class Delivery:
    destination: str = strawberry.field(description="Its name in the settings.")
    event: AlertEvent = strawberry.field(description="What it says.")
    notice: str = strawberry.field(description="`event` as a text.", deprecation_reason="Use `event`.")
    attempts: int = strawberry.field(description="How often it was tried.")
    delivered_at: datetime | None = strawberry.field(description="When the destination took it; null until then.")
    dropped_at: datetime | None = strawberry.field(
        description="When it was given up, as `error` says; null where it was not."
    )
    error: str | None = strawberry.field(description="Of the last attempt; null where that went well.")


@strawberry.type(description="Something people should know of, from when it began to hold until it holds no more.")
class Alert:
    id: strawberry.ID = strawberry.field(description="For `acknowledgeAlert`.")
    key: str = strawberry.field(description="What it is about; one alert is open per key at most.")
    kind: AlertKind = strawberry.field(description="Whether it is about the data or about the shop.")
    severity: Severity = strawberry.field(description="The worst so far.")
    title: str = strawberry.field(description="What it says, in a few words.")
    members: list[AlertMember] = strawberry.field(description="What it holds for, or last held for.")
    explained_by: strawberry.ID | None = strawberry.field(
        description="The alert on the data of the same time, for which nobody is notified; null where there is none."
    )
    opened_at: datetime = strawberry.field(description="When it was first found to hold.")
    changed_at: datetime = strawberry.field(description="When it last changed, also by its end.")
    resolved_at: datetime | None = strawberry.field(
        description="When it was found to hold no more; null while it is open."
    )
    acknowledged_at: datetime | None = strawberry.field(description="When somebody said to see to it; null until then.")
    acknowledged_by: str | None = strawberry.field(description="Who said so; null until then.")
    epoch: Long = strawberry.field(description="The newest commit when it last changed.")
    deliveries: list[Delivery] = strawberry.field(description="What became of its notices, each to one destination.")


Status = Annotated[AlertStatus, strawberry.argument(description="Open ones, resolved ones or both.")]
_RESOLVED: Final = {AlertStatus.OPEN: False, AlertStatus.RESOLVED: True, AlertStatus.ALL: None}


async def alerts(
    info: Info,
    status: Status = AlertStatus.OPEN,
    first: Annotated[int, strawberry.argument(description="Most alerts wanted.")] = 50,
) -> list[Alert]:
    """The newest alerts first."""
    page = Page(page_size("first", first, info))
    return [_alert(row) for row in await info.context.snapshot.rows(alerts_page(page, resolved=_RESOLVED[status]))]


async def alerts_connection(
    info: Info,
    status: Status = AlertStatus.OPEN,
    *,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Alert]:
    """The newest alerts first."""
    return await connection(
        info,
        ALERTS,
        Which(first, after, last, before),
        partial(alerts_page, resolved=_RESOLVED[status]),
        key=lambda row: Key(row.opened_at, row.id),
        node=_alert,
    )


async def open_alerts(info: Info) -> list[Alert]:
    """The open ones, for subscribers."""
    return await alerts(info, AlertStatus.OPEN, min(_SUBSCRIBED, info.context.services.settings.max_page_size))


async def acknowledge_alert(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Of an open alert.")],
    by: Annotated[str, strawberry.argument(description="Your name, 1 to 100 printable characters.")],
) -> Alert:
    """Note who sees to it, and tell destinations that know of such a thing."""
    name = by.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidArgument("by", f"a name of 1 to {_LONGEST_NAME} printable characters")
    if not (id.isascii() and id.isdigit() and len(id) <= 18):
        raise InvalidArgument("id", "not one of an alert")
    if not await info.context.services.database.write(acknowledge(int(id), name)):
        raise InvalidArgument("id", "no alert of this id is open")
    # The operation's own snapshot may be older than this: another mutation of it may have taken it.
    snapshot = info.context.services.database.snapshot()
    try:
        (row,) = await snapshot.rows(one_alert(int(id)))
    finally:
        await snapshot.close()
    return _alert(row)


def _alert(row: ResultRow) -> Alert:
    told = dict(row._mapping)
    del told["notified_at"], told["acknowledgement_sent"]
    explained_by = told["explained_by"]
    return Alert(
        **told
        | {
            "id": strawberry.ID(str(told["id"])),
            "kind": AlertKind(told["kind"]),
            "severity": Severity(told["severity"]),
            "members": [AlertMember(**member) for member in told["members"]],
            "explained_by": None if explained_by is None else strawberry.ID(str(explained_by)),
            "deliveries": [_delivery(*each) for each in told["deliveries"]],
        }
    )


def _delivery(  # noqa: PLR0917 - a row
    destination: str, notice: str, attempts: int, delivered: float | None, dropped: float | None, error: str | None
) -> Delivery:
    return Delivery(
        destination=destination,
        event=AlertEvent(notice),
        notice=notice,
        attempts=attempts,
        delivered_at=None if delivered is None else datetime.fromtimestamp(delivered, UTC),
        dropped_at=None if dropped is None else datetime.fromtimestamp(dropped, UTC),
        error=error,
    )
