"""Alerts as a person asks for them: which are open, what became of their notices; and saying that one is seen to."""

import json
from datetime import UTC
from typing import Any

from processing.store import Transaction

_LIST = """
    SELECT id, kind, severity, title, members::text AS members, explained_by, opened_at, resolved_at, acknowledged_at,
      acknowledged_by, coalesce((SELECT json_agg(json_build_object('destination', destination, 'notice', notice,
        'attempts', attempts, 'delivered', delivered_at IS NOT NULL,
        'seconds', extract(epoch FROM delivered_at - created_at)::float8, 'dropped', dropped_at IS NOT NULL,
        'error', error) ORDER BY d.id) FROM deliveries d WHERE d.alert_id = a.id), '[]')::text AS deliveries
    FROM alerts a WHERE resolved_at IS NULL OR $1
    ORDER BY resolved_at IS NULL DESC, opened_at DESC LIMIT $2
"""


def listed(transaction: Transaction, *, resolved: bool, most: int) -> list[dict[str, Any]]:
    """Open alerts and, if asked for, resolved ones after them; the newest first."""
    rows: list[dict[str, Any]] = transaction.query(_LIST, (resolved, most)).to_pylist()
    for row in rows:
        for name in ("opened_at", "resolved_at", "acknowledged_at"):
            row[name] = row[name].astimezone(UTC).isoformat() if row[name] else None
        for name in ("members", "deliveries"):
            row[name] = json.loads(row[name])
    return rows


def acknowledge(transaction: Transaction, alert_id: int, by: str) -> bool:
    """Note that somebody sees to it; the first one stays. False where no such alert is open."""
    found = transaction.query(
        "UPDATE alerts SET acknowledged_at = coalesce(acknowledged_at, clock_timestamp()),"
        " acknowledged_by = coalesce(acknowledged_by, $2) WHERE id = $1 AND resolved_at IS NULL RETURNING id",
        (alert_id, by),
    )
    return bool(found.num_rows)
