"""The receipt: what went, and where copies may be that nobody here can reach into, and until when.

It grows in the table `erased_users` while the erasure is under way, in the transactions that do what it tells.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.people import hash_of
from contracts.topics import ALL, TALLIES
from processing import ledger
from processing.erase.scopes import Touched
from processing.store import Transaction

_HISTORY: Final = timedelta(days=7)
"""Most that `delta.logRetentionDuration` of an event log is, and more than compaction keeps a file."""

BACKUPS: Final = "as long as you keep them; after restoring one, run the erasure again"


def is_known(transaction: Transaction, user_id: str) -> bool:
    """Whether an erasure of the person was ever begun."""
    return _row(transaction, user_id) is not None


def closed(transaction: Transaction, user_id: str) -> dict[str, Any] | None:
    """The receipt of an erasure that is done."""
    row = _row(transaction, user_id)
    return json.loads(row["receipt"]) if row and row["erased_at"] else None


def unfinished(transaction: Transaction, user_id: str) -> Touched:
    """What an erasure that was interrupted has to make again."""
    row = _row(transaction, user_id)
    return json.loads(row["touched"]) if row and row["touched"] else {}


def begin(transaction: Transaction, user_id: str, touched: Touched) -> None:
    """Block the person, and write down what is to be made again."""
    transaction.execute(
        "INSERT INTO erased_users (user_hash, blocked_at, touched, receipt)"
        " VALUES ($1, clock_timestamp(), $2::text::jsonb, '{}'::jsonb)"
        " ON CONFLICT (user_hash) DO UPDATE SET erased_at = NULL, touched = excluded.touched",
        (hash_of(user_id), json.dumps(touched)),
    )


def note(transaction: Transaction, user_id: str, more: dict[str, Any]) -> None:
    """Note what this transaction does, and tell readers; a run that ends another adds to what that has done."""
    row = _row(transaction, user_id)
    told = added(json.loads(row["receipt"]) if row else {}, more)
    transaction.execute(
        "UPDATE erased_users SET receipt = $2::text::jsonb WHERE user_hash = $1", (hash_of(user_id), json.dumps(told))
    )
    ledger.tell_change(transaction)


def close(transaction: Transaction, user_id: str, log: dict[str, int], dedupe_horizon_seconds: int) -> dict[str, Any]:
    """The erasure is done. `log` is what became of the event log: versions, and files deleted."""
    now = datetime.now(UTC)
    row = _row(transaction, user_id)
    told: dict[str, Any] = {
        **(json.loads(row["receipt"]) if row else {}),
        "user_hash": hash_of(user_id).hex(),
        "blocked_at": row["blocked_at"].astimezone(UTC).isoformat() if row else None,
        "erased_at": now.isoformat(),
        "event_log": log,
        "copies_until": copies_until(now, dedupe_horizon_seconds),
    }
    transaction.execute(
        "UPDATE erased_users SET erased_at = $2, touched = NULL, receipt = $3::text::jsonb WHERE user_hash = $1",
        (hash_of(user_id), now, json.dumps(told)),
    )
    return told


def copies_until(now: datetime, dedupe_horizon_seconds: int) -> dict[str, str]:
    """By place: an ISO 8601 time after which no copy is left there, by the retention that the stack sets."""
    until = {
        f"kafka topic {topic.name}": now + timedelta(milliseconds=topic.retention_ms)
        for topic in ALL
        if topic is not TALLIES
    }
    until["hashes of event ids (dedupe)"] = now + timedelta(seconds=dedupe_horizon_seconds)
    until["least and greatest values in the event log's history"] = now + _HISTORY
    until["files that a killed writer of the event log has left"] = now + _HISTORY
    return {place: time.isoformat(timespec="seconds") for place, time in until.items()} | {"backups": BACKUPS}


def added(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """What two runs did: numbers are added up, anything else is as the later one says."""
    result = dict(before)
    for name, value in more.items():
        old = result.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            result[name] = added(old, value)
        elif isinstance(value, int) and isinstance(old, int):
            result[name] = old + value
        else:
            result[name] = value
    return result


def _row(transaction: Transaction, user_id: str) -> dict[str, Any] | None:
    rows = transaction.query(
        "SELECT blocked_at, erased_at, touched::text AS touched, receipt::text AS receipt"
        " FROM erased_users WHERE user_hash = $1",
        (hash_of(user_id),),
    ).to_pylist()
    return rows[0] if rows else None
