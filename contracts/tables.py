"""The serving store: every Postgres table, who writes it and what a row means.

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
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata: Final = MetaData()

NOTIFY_CHANNEL: Final = "millrace_epoch"
"""Channel notified inside the epoch's transaction; the payload is the epoch number."""

_time = DateTime(timezone=True)
_money = Numeric(38, 4)
_sortable = Text(collation="C")
"""JSON text that begins with a zero-padded time: its byte order is the order of events, so min and max merge it."""


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _measures() -> list[Column[Any]]:
    """What the minute tables measure; the same columns at every grain, so that parts sum up to the whole."""
    counts = (
        "events",
        "views",
        "clicks",
        "searches",
        "adds",
        "removes",
        "checkouts",
        "purchases",
        "units",
        "refunds",
    )
    return [
        *(_count(name) for name in counts),
        Column("revenue", _money, nullable=False, server_default=text("0"), comment="sum of purchases"),
        Column("refunded", _money, nullable=False, server_default=text("0"), comment="sum of refunds, positive"),
        Column("users", LargeBinary, nullable=False, comment="theta sketch of every user seen"),
        Column("buyers", LargeBinary, nullable=False, comment="theta sketch of users with a purchase"),
        Column("late", BigInteger, nullable=False, comment="events applied after the watermark had passed them"),
        Column("revision", Integer, nullable=False, comment="how many epochs brought late events"),
        Column("last_epoch", BigInteger, nullable=False),
    ]


epochs: Final = Table(
    "epochs",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("started_at", _time, nullable=False),
    Column("committed_at", _time, nullable=False, server_default=text("clock_timestamp()")),
    Column("offsets", JSONB, nullable=False, comment='{"topic": {"partition": [from, until]}}, until exclusive'),
    Column("newest_log_time", _time, nullable=False, comment="newest broker time in the epoch"),
    Column(
        "event_time_by_partition",
        JSONB,
        nullable=False,
        comment='newest {"topic-partition": [event ms, log ms]}',
    ),
    Column("watermark", _time, comment="event time before which everything is final; null until there is one"),
    _count("records"),
    _count("applied"),
    _count("duplicates"),
    _count("conflicts"),
    _count("quarantined"),
    _count("rejected"),
    _count("late"),
    _count("imported"),
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
    _count("records"),
    _count("gaps"),
    comment="The ledger summed per partition. gaps counts offsets skipped between epochs; it must stay 0.",
)

totals: Final = Table(
    "totals",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", BigInteger, nullable=False),
    *(
        _count(name)
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
    Column("log_rows", BigInteger, nullable=False, server_default=text("0"), comment="through epoch log_epoch"),
    Column("log_epoch", BigInteger, nullable=False, server_default=text("0")),
    comment="The ledger summed over all epochs, one row, so that the books are read in O(1).",
)

recent_ids: Final = Table(
    "recent_ids",
    metadata,
    Column("id", LargeBinary, primary_key=True, comment="MD5 of topic and event id"),
    Column("payload", BigInteger, nullable=False, comment="64-bit hash of the decoded event"),
    Column("epoch", BigInteger, nullable=False, comment="first sighting"),
    Column("topic", SmallInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Index("recent_ids_epoch", "epoch", postgresql_using="brin"),
    comment="Ids seen within the dedupe horizon, with the place of their first sighting.",
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
    Column("first_epoch", BigInteger, nullable=False),
    Column("first_partition", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    comment="Every record that was not applied because its id was seen before.",
)

quarantine: Final = Table(
    "quarantine",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("log_time", _time, nullable=False),
    Column("reason", Text, nullable=False, comment="code from contracts.rejections"),
    Column("raw", LargeBinary, nullable=False, comment="the record's value, at most 64 KiB of it"),
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
    Column("received_at", _time, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("event_id", Text),
    Column("raw", LargeBinary, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Index("rejected_events_received_at", "received_at"),
    comment="What the gateway refused, as data.",
)

product_minutes: Final = Table(
    "product_minutes",
    metadata,
    Column("minute", _time, primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("category", Text, primary_key=True, comment="empty where the event named none"),
    *_measures(),
)

category_minutes: Final = Table(
    "category_minutes",
    metadata,
    Column("minute", _time, primary_key=True),
    Column("category", Text, primary_key=True, comment="empty where the event named none"),
    *_measures(),
)

site_minutes: Final = Table(
    "site_minutes",
    metadata,
    Column("minute", _time, primary_key=True),
    *_measures(),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("started_at", _time, primary_key=True, comment="first event of the island"),
    Column("ended_at", _time, nullable=False, comment="last event of the island"),
    Column("user_id", Text, nullable=False, comment="of the first event"),
    *(
        _count(name)
        for name in (
            "events",
            "views",
            "clicks",
            "searches",
            "adds",
            "removes",
            "checkouts",
            "purchases",
            "units",
        )
    ),
    Column("revenue", _money, nullable=False),
    Column("entry_page", Text),
    Column("exit_page", Text),
    Column(
        "path",
        ARRAY(_sortable),
        nullable=False,
        comment="first 50 steps in order, each JSON text: [epoch ms as 15 digits, event id, action, product id, page]",
    ),
    Column("first_event", _sortable, nullable=False, server_default="", comment="[ms, event id, action, user id]"),
    Column("entry_event", _sortable, comment="the first step that has a page; entry_page is its page"),
    Column("exit_event", _sortable, comment="the last step that has a page; exit_page is its page"),
    Column("late", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("last_epoch", BigInteger, nullable=False),
    Index("sessions_started_at", "started_at", "session_id"),
    Index("sessions_user", "user_id", "started_at"),
    comment="Islands of one session id's events that are less than the session gap apart.",
    postgresql_with={"fillfactor": 80},
)
