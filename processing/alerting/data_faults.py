"""Faults of the data, which come before anything the data say: refused or damaged events, silence, delay, books, bots.

They are about arrival, not event time, so they speak within seconds and need no window to close.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from processing.alerting.firing import Firing, Member, Severity
from processing.store import Transaction
from schemas_avro import Registry

SILENT: Final = "data:silent"
EXPLAINING: Final = frozenset({"data:rejected", "data:quarantined", SILENT, "data:behind", "data:books"})
"""Faults on which the shop's numbers depend. How many bots there are is not one: views leave them out."""
_WINDOW: Final = timedelta(minutes=10)
_MOST_MEMBERS: Final = 20
_SURGE: Final = 10
"""So many times its usual number in ten minutes, a reason for refusal is a fault whatever its share is."""


class DataFaults(BaseModel):
    """When the data are at fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    rejected_minimum: int = Field(default=20, ge=1)
    """Refused events of one source, reason and schema in ten minutes below which nothing is said."""
    rejected_share: float = Field(default=0.05, gt=0, le=1)
    """Share of all events of those ten minutes from which that many are a fault."""
    silent_seconds: float = Field(default=180, gt=0)
    """Time since the newest committed event, after an hour with `silent_minimum` events or more, imports left out."""
    silent_minimum: int = Field(default=600, ge=1)
    behind_seconds: float = Field(default=10, gt=0)
    """From broker to commit, median of the last 30 epochs."""
    bot_share: float = Field(default=0.5, gt=0, le=1)
    """Share of events of the last ten minutes that bots made, from which it is told."""
    bot_minimum: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class Clock:
    """Now, by the database's clock, and what was seen last."""

    now: datetime
    seen_until: datetime
    """Event time."""
    decided_until: datetime
    """Event time: what was put into a cart before it is bought or abandoned."""


def firings(transaction: Transaction, settings: DataFaults, clock: Clock, registry: Registry) -> Iterator[Firing]:
    """What is wrong with the data now."""
    if not settings.enabled:
        return
    since = clock.now - _WINDOW
    found: tuple[tuple[str, str, Severity, list[Member]], ...] = (
        ("data:rejected", "Events are refused", "critical", _rejected(transaction, settings, since, registry)),
        ("data:quarantined", "Undecodable records in Kafka", "critical", _quarantined(transaction, since)),
        (SILENT, "No events any more", "critical", _silent(transaction, settings, clock.now)),
        ("data:behind", "Numbers come late", "warning", _behind(transaction, settings)),
        ("data:books", "The books do not close", "critical", _books(transaction)),
        ("data:bots", "Many bots", "warning", _bots(transaction, settings, clock.seen_until)),
    )
    for key, title, severity, members in found:
        if members:
            yield Firing(key, "data", severity, title, tuple(members[:_MOST_MEMBERS]), since, clock.now)


def _rejected(transaction: Transaction, settings: DataFaults, since: datetime, registry: Registry) -> list[Member]:
    """By source, reason and schema: a new release of one tracker shows as one line."""
    (applied,) = transaction.query(
        "SELECT coalesce(sum(applied), 0)::bigint AS applied FROM epochs"
        " WHERE epoch > (SELECT max(epoch) - 5000 FROM epochs) AND committed_at >= $1",
        (since,),
    )["applied"].to_pylist()
    rows = transaction.query(
        "SELECT source, reason, schema_id, count(*) FILTER (WHERE received_at >= $2) AS now,"
        " count(*) FILTER (WHERE received_at < $2) / 6.0::float8 AS usual FROM rejected_events"
        " WHERE received_at >= $1 GROUP BY 1, 2, 3 ORDER BY now DESC, 1, 2, 3",
        (since - 6 * _WINDOW, since),
    ).to_pylist()
    total = applied + sum(row["now"] for row in rows)
    found = []
    for row in rows:
        if row["now"] < settings.rejected_minimum:
            continue
        if row["now"] >= settings.rejected_share * total or row["now"] > _SURGE * max(row["usual"], 1.0):
            schema = _schema_name(registry, row["schema_id"])
            found.append(
                Member(
                    "source",
                    f"{row['source']}: {row['reason']}{schema}",
                    f"{row['now']:,} of {total:,} events in ten minutes, usually {row['usual']:,.0f}",
                )
            )
    return found


def _schema_name(registry: Registry, schema_id: int | None) -> str:
    if schema_id is None:
        return ""
    schema = registry.by_id(schema_id)
    return f", {schema.subject} v{schema.version}" if schema else f", schema {schema_id}"


def _quarantined(transaction: Transaction, since: datetime) -> list[Member]:
    rows = transaction.query(
        "SELECT topic, reason, count(*) AS records FROM quarantine"
        " WHERE epoch > (SELECT max(epoch) - 5000 FROM epochs) AND log_time >= $1 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        (since,),
    ).to_pylist()
    return [
        Member("topic", f"{row['topic']}: {row['reason']}", f"{row['records']:,} records in ten minutes")
        for row in rows
    ]


def _silent(transaction: Transaction, settings: DataFaults, now: datetime) -> list[Member]:
    rows = transaction.query(
        "SELECT newest_log_time, (SELECT sum(applied - imported) FROM epochs e WHERE e.epoch > l.epoch - 8000"
        " AND e.newest_log_time > l.newest_log_time - interval '1 hour')::bigint AS applied"
        " FROM (SELECT epoch, newest_log_time FROM epochs ORDER BY epoch DESC LIMIT 1) l"
    ).to_pylist()
    if not rows:
        return []
    newest, applied = rows[0]["newest_log_time"].astimezone(UTC), rows[0]["applied"] or 0
    if (now - newest).total_seconds() < settings.silent_seconds or applied < settings.silent_minimum:
        return []
    return [
        Member(
            "site",
            "",
            f"nothing committed since {newest:%H:%M:%S} UTC, {applied:,} events in the hour before: the shop sends"
            " nothing, or gateway, broker or processing are away (`millrace status`)",
        )
    ]


def _behind(transaction: Transaction, settings: DataFaults) -> list[Member]:
    rows = transaction.query(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM committed_at - newest_log_time))::float8"
        " AS seconds, count(*) AS epochs FROM (SELECT * FROM epochs ORDER BY epoch DESC LIMIT 30) newest"
    ).to_pylist()
    if rows[0]["epochs"] < 30 or rows[0]["seconds"] < settings.behind_seconds:
        return []
    return [Member("site", "", f"{rows[0]['seconds']:,.1f} s from the broker to the commit, median of 30 epochs")]


def _books(transaction: Transaction) -> list[Member]:
    (row,) = transaction.query(
        "SELECT t.records, t.applied + t.duplicates + t.quarantined + t.rejected AS accounted, b.records AS read,"
        " b.gaps FROM totals t, (SELECT coalesce(sum(records), 0)::bigint AS records,"
        " coalesce(sum(gaps), 0)::bigint AS gaps FROM books) b"
    ).to_pylist() or [{"records": 0, "accounted": 0, "read": 0, "gaps": 0}]
    found = []
    if row["records"] != row["accounted"]:
        found.append(Member("books", "outcomes", f"{row['records']:,} records, {row['accounted']:,} accounted for"))
    if row["records"] != row["read"]:
        found.append(Member("books", "partitions", f"{row['records']:,} records, {row['read']:,} by partition"))
    if row["gaps"]:
        found.append(Member("books", "gaps", f"{row['gaps']:,} offsets were never read"))
    return found


def _bots(transaction: Transaction, settings: DataFaults, seen_until: datetime) -> list[Member]:
    (row,) = transaction.query(
        "SELECT coalesce(sum(events) FILTER (WHERE bot), 0)::bigint AS bots, coalesce(sum(events), 0)::bigint AS events"
        " FROM site_minutes WHERE minute >= $1 AND minute < $2",
        (seen_until - _WINDOW, seen_until),
    ).to_pylist()
    if row["bots"] < settings.bot_minimum or row["bots"] < settings.bot_share * row["events"]:
        return []
    return [
        Member(
            "site", "", f"{row['bots']:,} of {row['events']:,} events in ten minutes; views leave bots out by default"
        )
    ]
