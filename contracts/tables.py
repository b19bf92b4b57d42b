"""The serving store's ledger and what is kept of records that are not events. The projections: `contracts.projections`.

Processing writes each of these in the epoch's one transaction; serving reads them in one snapshot per request.
Names are unqualified: the connection's `search_path` names the schema. Times are `timestamptz`, money is
`numeric(38, 4)` in the shop's one currency, sketches are compact theta sketches (Apache DataSketches) of user ids.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

metadata: Final = MetaData()

NOTIFY_CHANNEL: Final = "millrace_epoch"
"""Channel notified inside the epoch's transaction; the payload is the epoch number."""
ALERTS: Final = "alerts"
"""Payload of a notice that alerts have changed, which they do outside of epochs."""
REQUESTS_CHANNEL: Final = "millrace_requests"
"""Channel notified with every request: `stack.requests` listens."""
CHANGED: Final = "changed"
"""Payload of a notice in a transaction that is no epoch and changes what readers were told of one."""

time_type = DateTime(timezone=True)
money_type = Numeric(38, 4)


def count_column(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


class _HashedBytes(UserDefinedType[bytes]):
    """`bytea` of hashes: too random for Postgres to try and compress."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BYTEA STORAGE EXTERNAL"


epochs: Final = Table(
    "epochs",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("started_at", time_type, nullable=False),
    Column("committed_at", time_type, nullable=False, server_default=text("clock_timestamp()")),
    Column("offsets", JSONB, nullable=False, comment='{"topic": {"partition": [from, until]}}, until exclusive'),
    Column("newest_log_time", time_type, nullable=False, comment="newest broker time in the epoch"),
    Column(
        "event_time_by_partition",
        JSONB,
        nullable=False,
        comment='newest {"topic-partition": [event ms, log ms]}',
    ),
    Column("watermark", time_type, comment="event time before which everything is final; null until there is one"),
    count_column("records"),
    count_column("applied"),
    count_column("duplicates"),
    count_column("conflicts"),
    count_column("quarantined"),
    count_column("rejected"),
    count_column("late"),
    count_column("imported"),
    Column("log_version", BigInteger, comment="Delta version that holds the epoch's events, once known"),
    comment="The ledger, a row per epoch. records = applied + duplicates + quarantined + rejected; "
    "conflicts are among the duplicates, late and imported among the applied.",
)

books: Final = Table(
    "books",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False, comment="end of the last epoch that read it"),
    count_column("records"),
    count_column("gaps"),
    Column(
        "unknown",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="read by a ledger that was lost, not applied, and gone from Kafka since: what they were cannot be told",
    ),
    comment="The ledger summed per partition. gaps counts offsets skipped between epochs; it must stay 0.",
)

totals: Final = Table(
    "totals",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", BigInteger, nullable=False),
    *(
        count_column(name)
        for name in (
            "records",
            "applied",
            "duplicates",
            "conflicts",
            "quarantined",
            "rejected",
            "late",
            "imported",
        )
    ),
    Column(
        "erased", BigInteger, nullable=False, server_default=text("0"), comment="applied, and deleted since on request"
    ),
    Column("log_rows", BigInteger, nullable=False, server_default=text("0"), comment="through epoch log_epoch"),
    Column("log_epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("log_id", Text, comment="the Delta table's own id, so that another stack's is told apart"),
    Column(
        "results_epoch",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="the topic analytics-results has every row that changed through this epoch",
    ),
    comment="The ledger summed over all epochs, one row, so that the books are read in O(1).",
)

tombstones: Final = Table(
    "tombstones",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True, comment="as in the topic analytics-results"),
    comment="Rows that were joined into others, until that topic is known to say so.",
)

last_change: Final = Table(
    "last_change",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("token", Text, nullable=False, server_default=text("gen_random_uuid()::text")),
    comment="One row: a random text, another one with every transaction that is no epoch and changes what readers were"
    " told of one. With the newest epoch it names the state of the store.",
)

tallies: Final = Table(
    "tallies",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("acknowledged", BigInteger, nullable=False, comment="to all gateway workers there ever were, as they tell"),
    Column("stored", BigInteger, nullable=False, comment="end offsets of its partitions, read after that; at least it"),
    Column("told_at", time_type, nullable=False),
    comment="What the gateway answered for against what Kafka has. stored may be more: an answer may be lost, and"
    " others may write to a topic.",
)

seen_ids: Final = Table(
    "seen_ids",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("ids", _HashedBytes, nullable=False, comment="the ids it saw first, as in processing/packed_ids.py"),
    comment="Ids seen within the dedupe horizon, a row per epoch. Processing's memory of them is loaded from here.",
)

duplicates: Final = Table(
    "duplicates",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("conflict", Boolean, nullable=False, comment="same id, other payload"),
    Column("first_epoch", BigInteger, nullable=False, comment="when its id was first seen"),
    Index("duplicates_event_id", "event_id"),
    comment="Every record that was not applied because its id was seen before.",
)

quarantine: Final = Table(
    "quarantine",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("log_time", time_type, nullable=False),
    Column("reason", Text, nullable=False, comment="code from contracts.rejections"),
    Column("raw", LargeBinary, nullable=False, comment="the record's value, at most 64 KiB of it"),
    Index("quarantine_log_time", "log_time"),
    comment="Records in Kafka that do not decode to a valid event (written past the gateway).",
)

rejected_events: Final = Table(
    "rejected_events",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("rejection_id", Text, nullable=False),
    Column("received_at", time_type, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("event_id", Text),
    Column("schema_id", Integer, comment="of the schema that it was written with, where it named one"),
    Column("raw", LargeBinary, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Index("rejected_events_received_at", "received_at"),
    Index("rejected_events_event_id", "event_id", postgresql_where=text("event_id IS NOT NULL")),
    comment="What the gateway refused, as data.",
)

erased_users: Final = Table(
    "erased_users",
    metadata,
    Column("user_hash", LargeBinary, primary_key=True, comment="SHA-256 of the id; the id itself is not kept"),
    Column("number", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("blocked_at", time_type, nullable=False, comment="no event committed later counts"),
    Column("erased_at", time_type, comment="null while the erasure is not done; run it again then"),
    Column("touched", JSONB, comment="what it has to make again, null once done"),
    Column("receipt", JSONB, comment="what went, and until when copies may be elsewhere"),
    comment="Users erased on request. Processing takes no further event of theirs.",
)

requests: Final = Table(
    "requests",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, unique=True, comment="of whoever asks, so that asking again asks once"),
    Column("kind", Text, nullable=False, comment="erase_user or replay_rejected"),
    Column("arguments", JSONB, comment="null once done: they may name a person"),
    Column("fingerprint", LargeBinary, nullable=False, comment="SHA-256 of kind and arguments"),
    Column("state", Text, nullable=False, server_default=text("'waiting'"), comment="waiting, running, done, failed"),
    Column("asked_by", Text, nullable=False, comment="the read key's source, or an address"),
    Column("asked_at", time_type, nullable=False, server_default=text("clock_timestamp()")),
    Column("due_at", time_type, nullable=False, server_default=text("clock_timestamp()"), comment="not tried before"),
    Column("started_at", time_type, comment="when it was last tried"),
    Column("finished_at", time_type, comment="when it was done, or given up"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text, comment="why the last attempt came to nothing"),
    Column("receipt", JSONB, comment="what was done"),
    Index("requests_open", "due_at", postgresql_where=text("state IN ('waiting', 'running')")),
    comment="What was asked for by mutations of GraphQL and is done by `millrace requests take`.",
)

verifications: Final = Table(
    "verifications",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", time_type, nullable=False, server_default=text("clock_timestamp()")),
    Column("epoch", BigInteger, nullable=False, comment="the epoch of which the tables were read"),
    Column("from", time_type, comment="event time; null: from the first event"),
    Column("until", time_type, comment="exclusive; null: through the last event"),
    Column("rows", BigInteger, nullable=False, comment="rows compared, of all tables together"),
    Column("mismatches", BigInteger, nullable=False, comment="rows missing, extra or other than the log says"),
    Column("examples", JSONB, nullable=False, comment="a few mismatches, each with table, key, columns and events"),
    Column("seconds", Double, nullable=False),
    Index("verifications_at", "at"),
    comment="Comparisons of the projections with what an independent computation finds in the event log.",
)

reports: Final = Table(
    "reports",
    metadata,
    Column("day", Text, primary_key=True, comment="as 2026-03-01, in the zone"),
    Column("time_zone", Text, nullable=False, comment="IANA name of the shop's zone when it was made"),
    Column("epoch", BigInteger, nullable=False, comment="the epoch of which the tables were read"),
    Column("is_final", Boolean, nullable=False, comment="nothing on time can change it any more"),
    Column("figures", JSONB, nullable=False, comment="the report; processing/reporting/figures.py says what is in it"),
    Column("made_at", time_type, nullable=False),
    Column("mailed_at", time_type, comment="when every mailbox had taken it; null: not mailed"),
    comment="Daily reports, the last one made of each day.",
)

definitions: Final = Table(
    "definitions",
    metadata,
    Column("name", Text, primary_key=True, comment="of a table"),
    Column("fingerprint", Text, nullable=False, comment="hash of the SQL that makes it, a projection's delta included"),
    comment="What the tables were made by, so that a version with other definitions is told apart at its start.",
)
