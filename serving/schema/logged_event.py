"""An event as the event log has it, wherever it is told."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from serving.queries import ResultRow
from serving.schema.scalars import Long
from serving.windows import MINUTE, floor


@strawberry.interface(description="An event that counts, as the event log has it.")
class LoggedEvent:
    epoch: Long = strawberry.field(description="The epoch that applied it; it counts from that one on.")
    topic: str = strawberry.field(description="Kafka's topic: `clickstream` or `transactions`.")
    event_id: str = strawberry.field(description="As it was sent; a transaction's `transaction_id`.")
    timestamp: datetime = strawberry.field(description="Event time, by the client's clock.")
    received_at: datetime | None = strawberry.field(
        description="By the gateway's clock; null of what came past the gateway."
    )
    log_time: datetime = strawberry.field(description="By the broker's clock.")
    minute: datetime = strawberry.field(description="It counts in every window that holds this minute.")
    action: str = strawberry.field(description="The clickstream's action, or `purchase` or `refund`.")
    user_id: str = strawberry.field(description="Whose it is.")
    session_id: str = strawberry.field(description="The client's session id.")
    product_id: strawberry.ID | None = strawberry.field(description="The product it names; null where it names none.")
    category: str | None = strawberry.field(description="The category it names; null where it names none.")
    page: str | None = strawberry.field(description="URL of the page; null where it names none.")
    order_id: str | None = strawberry.field(description="The order of a transaction; null where it names none.")
    quantity: int | None = strawberry.field(description="Pieces of a transaction; null of others.")
    amount: Decimal | None = strawberry.field(
        description="Money, positive for a refund as well; null where there is none."
    )
    currency: str | None = strawberry.field(description="ISO 4217 code of `amount`; null without one.")
    late: bool = strawberry.field(description="Whether the watermark had passed it: a label, it counts all the same.")
    imported: bool = strawberry.field(description="Whether it was sent as history.")
    bot: bool = strawberry.field(description="Views leave it out unless bots are asked for.")
    bot_reason: str | None = strawberry.field(
        description="Stable code of what speaks most for a bot; null where nothing does."
    )


def logged(event: ResultRow) -> dict[str, Any]:
    """The fields of `LoggedEvent`, by name."""
    told = event._mapping
    same = (
        "epoch", "topic", "event_id", "timestamp", "received_at", "log_time", "user_id", "session_id", "order_id",
        "quantity", "amount", "currency", "late", "imported", "bot", "bot_reason",
    )  # fmt: skip
    return {
        **{name: told[name] for name in same},
        "minute": floor(event.timestamp, MINUTE),
        "action": event.action or event.kind,
        "product_id": event.product_id or None,
        "category": event.category or None,
        "page": event.page_url or None,
    }
