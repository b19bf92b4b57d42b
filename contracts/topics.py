"""The Kafka topics: what each carries, who writes it, who reads it, how long it is kept.

Record values are Avro in Confluent framing (`00` + int32 schema id + datum); `analytics-results` is JSON.
All topics use `LogAppendTime`: the record timestamp is the broker's clock, never the client's.
"""

from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """A topic as `stack` creates it and as the stages rely on it."""

    name: str
    carries: str
    writer: str
    reader: str
    subject: str | None
    """Schema subject in `schemas_avro`; None where the value is not Avro."""
    partitions: int = 2
    """Two per core at most: more only adds tasks to every epoch."""
    retention_ms: int = 7 * DAY_MS
    extra: dict[str, str] = field(default_factory=dict)

    def configuration(self) -> dict[str, str]:
        """Broker-side topic configuration."""
        return {
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(self.retention_ms),
            "compression.type": "producer",
            "max.message.bytes": str(2 * 1024 * 1024),
            **self.extra,
        }


CLICKSTREAM: Final = Topic(
    "clickstream", "one browsing event per record, keyed by user id", "gateway", "processing", "clickstream"
)
TRANSACTIONS: Final = Topic(
    "transactions", "one order line per record, keyed by user id", "gateway", "processing", "transactions"
)
REJECTED: Final = Topic(
    "rejected",
    "every event the gateway refused: raw bytes, reason, pointer, source",
    "gateway",
    "processing",
    "rejected",
    retention_ms=30 * DAY_MS,
)
RESULTS: Final = Topic(
    "analytics-results",
    "rows changed by an epoch, JSON, keyed by projection and row key",
    "processing",
    "anyone",
    None,
    extra={"cleanup.policy": "compact,delete"},
)

TALLIES: Final = Topic(
    "gateway-tallies",
    "how many records of each topic a gateway worker has had acknowledged since its start, JSON, keyed by worker",
    "gateway",
    "processing",
    None,
    partitions=1,
    extra={"cleanup.policy": "compact"},
)
"""The gateway's side of the books: what it has answered for must be in Kafka."""

ALL: Final = (CLICKSTREAM, TRANSACTIONS, REJECTED, RESULTS, TALLIES)
EVENT_TOPICS: Final = (CLICKSTREAM, TRANSACTIONS)

HEADER_SOURCE: Final = "source"
"""Name of the write key's source, UTF-8."""
HEADER_RECEIVED_AT: Final = "received_at"
"""The gateway's clock when the request arrived: epoch milliseconds as ASCII digits."""
HEADER_IMPORT: Final = "import"
"""`1` on events loaded with the import flag: old times are expected, never counted as late."""
HEADER_CLIENT_IP: Final = "client_ip"
"""The sender's IP address as far as the gateway's settings keep it: truncated (IPv4 to /24, IPv6 to /48), a keyed
hash in hex digits, or no such header."""
HEADER_TRACEPARENT: Final = "traceparent"
"""The request's place in a trace, as W3C's Trace Context writes it, where it had one."""
