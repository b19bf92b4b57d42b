"""What the event log tells whoever opens it with something else: what its columns mean, and what holds of every row."""

from typing import Final

from deltalake import DeltaTable, Field, Schema

from processing.batch import EVENT_LOG

DESCRIPTION: Final = "Every applied event of the shop, once, with the epoch that applied it. Times are UTC."

COLUMNS: Final = {
    "date": "day of `timestamp`, UTC; the table is partitioned by it",
    "epoch": "the epoch that applied the event, as in the ledger",
    "topic": "Kafka topic without its prefix: clickstream or transactions",
    "partition": "Kafka partition",
    "offset": "Kafka offset; with topic and partition it names the record",
    "log_time": "when the broker took the record",
    "received_at": "when the gateway took the event",
    "source": "the write key's source",
    "client_ip": "sender's address as far as the gateway keeps it: truncated, hashed, or null",
    "imported": "sent as history: old on purpose, and never late",
    "late": "older than the watermark when it was applied",
    "event_id": "the client's id; unique within a topic and the dedupe horizon",
    "timestamp": "when it happened, by the client's clock",
    "user_id": "who did it",
    "session_id": "the client's session",
    "product_id": "product that it was about",
    "category": "category that it was about",
    "action": "clickstream: what was done, such as page_view, view, click, search, add_to_cart, checkout_start",
    "page_url": "page it happened on",
    "referrer": "page that led there",
    "user_agent": "the client's user agent",
    "search_query": "what was searched for",
    "properties": "what else the client said, as text",
    "amount": "transactions: money of this line in the shop's one currency, never negative",
    "quantity": "transactions: units, at least one",
    "payment_method": "transactions: how it was paid",
    "order_id": "transactions: order that the line belongs to",
    "currency": "transactions: ISO 4217 code",
    "kind": "transactions: purchase or refund; null for clickstream",
    "device": "of the user agent: desktop, mobile, tablet, tv, bot, other",
    "browser": "of the user agent",
    "os": "of the user agent",
    "bot_score": "0 to 100; 50 and more counts as a bot",
    "bot_reason": "what the score rests on",
    "bot": "whether the score makes it a bot",
    "medium": "how the visitor came: direct, internal, search, social, email, paid, affiliate, campaign, referral",
    "referrer_source": "the referring site by name",
    "campaign_source": "utm_source, or what a click id stands for",
    "campaign_medium": "utm_medium",
    "campaign": "utm_campaign",
    "campaign_term": "utm_term",
    "campaign_content": "utm_content",
}

CONSTRAINTS: Final = {
    "event_id_not_empty": "event_id <> ''",
    "user_id_not_empty": "user_id <> ''",
    "amount_not_negative": "amount IS NULL OR amount >= 0",
    "quantity_positive": "quantity IS NULL OR quantity > 0",
    "kind_known": "kind IS NULL OR kind = 'purchase' OR kind = 'refund'",
    "bot_score_in_range": "bot_score >= 0 AND bot_score <= 100",
}
"""What every writer checks, of a row at a time. Spark takes a null for a violation, so nulls are allowed by name.

No constraint needs a function or a cast that one engine spells otherwise than the next.
"""


def described() -> Schema:
    """The columns of `EVENT_LOG` with their comments."""
    plain = Schema.from_arrow(EVENT_LOG)
    return Schema([Field(each.name, each.type, metadata={"comment": COLUMNS[each.name]}) for each in plain.fields])


def constrain(table: DeltaTable) -> None:
    """Give a table that was just created its constraints. One that has rows keeps what it has: nobody checked those."""
    if table.version() == 0:
        table.alter.add_constraint(CONSTRAINTS)
