"""Alerts as they are kept, and their notices put into the outbox: all that one look changes, in its transaction."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.tables import ALERTS, NOTIFY_CHANNEL
from processing.alerting.data_faults import EXPLAINING
from processing.alerting.destinations import Destination
from processing.alerting.firing import Firing, Member
from processing.alerting.lifecycle import Alert, Changed, Opened, Resolved, Step, steps
from processing.store import Transaction

_LATE: Final = timedelta(hours=1)
"""Faults of the data explain what is found out so long after they ended: windows take their time to close."""
_COLUMNS: Final = (
    "id, key, kind, severity, title, members::text AS members, explained_by, opened_at, notified_at, resolved_at"
)


class AlertBook:
    """Brings alerts up to date with what holds."""

    def __init__(self, destinations: Mapping[str, Destination], source: str) -> None:
        self._destinations = destinations
        self._source = source

    def settle(
        self, transaction: Transaction, firings: Sequence[Firing], unknown: Collection[str], epoch: int, now: datetime
    ) -> list[Step]:
        """Open, change and resolve alerts. `unknown`: keys that stay as they are, since it is not known if they hold.

        Faults of the data are settled first, so that those of this very look explain what else there is.
        """
        done = []
        for kind in ("data", "shop"):
            own = [firing for firing in firings if firing.kind == kind]
            alerts = _alerts(transaction, "resolved_at IS NULL AND kind = $1", kind)
            faults = [] if kind == "data" else _faults(transaction, now)
            for step in steps(alerts, own, unknown, faults, now):
                self._take(transaction, step, epoch, now)
                done.append(step)
        self._tell_acknowledged(transaction, now)
        if done:
            transaction.execute("SELECT pg_notify($1, $2)", (NOTIFY_CHANNEL, ALERTS))
        return done

    def _take(self, transaction: Transaction, step: Step, epoch: int, now: datetime) -> None:
        if isinstance(step, Opened):
            alert_id = _insert(transaction, step.alert, epoch)
            if step.notify:
                self._enqueue(transaction, alert_id, step.alert, "opened", step.firing, now)
        elif isinstance(step, Changed):
            assert step.alert.id is not None
            _update(transaction, step.alert, epoch, now)
            if step.notice:
                self._enqueue(transaction, step.alert.id, step.alert, step.notice, step.firing, now)
        else:
            self._resolve(transaction, step, epoch, now)

    def _resolve(self, transaction: Transaction, step: Resolved, epoch: int, now: datetime) -> None:
        """Tell those who were told that it holds; to whom that was still to be told, nothing is told at all."""
        alert = step.alert
        assert alert.id is not None
        transaction.execute("UPDATE alerts SET resolved_at = $1, epoch = $2 WHERE id = $3", (now, epoch, alert.id))
        transaction.execute(
            "UPDATE deliveries SET dropped_at = $1, error = 'it had resolved before it was due' WHERE alert_id = $2"
            " AND attempts = 0 AND due_at > $1 AND delivered_at IS NULL AND dropped_at IS NULL",
            (now, alert.id),
        )
        told = transaction.query(
            "SELECT DISTINCT destination FROM deliveries WHERE alert_id = $1 AND dropped_at IS NULL", (alert.id,)
        )["destination"].to_pylist()
        if step.notify:
            for name in told:
                self._deliver(transaction, alert.id, name, "resolved", _body(alert, "resolved"), now, now)

    def _enqueue(  # noqa: PLR0917
        self, transaction: Transaction, alert_id: int, alert: Alert, notice: str, firing: Firing, now: datetime
    ) -> None:
        quiet_until = firing.quiet.until(now) if firing.quiet and alert.severity != "critical" else None
        for name, destination in self._destinations.items():
            if destination.wants(alert.kind, alert.severity):
                body = _body(alert, notice) | {"id": alert_id}
                self._deliver(transaction, alert_id, name, notice, body, now, quiet_until or now)
        transaction.execute("UPDATE alerts SET notified_at = $1 WHERE id = $2", (now, alert_id))

    def _tell_acknowledged(self, transaction: Transaction, now: datetime) -> None:
        """Tell destinations that know of such a thing what somebody has acknowledged, in GraphQL or by command."""
        for alert in _alerts(
            transaction, "acknowledged_at IS NOT NULL AND NOT acknowledgement_sent AND resolved_at IS NULL"
        ):
            assert alert.id is not None
            for name, destination in self._destinations.items():
                if destination.knows_acknowledgement and destination.wants(alert.kind, alert.severity):
                    self._deliver(transaction, alert.id, name, "acknowledged", _body(alert, "acknowledged"), now, now)
            transaction.execute("UPDATE alerts SET acknowledgement_sent = true WHERE id = $1", (alert.id,))

    def _deliver(  # noqa: PLR0917
        self,
        transaction: Transaction,
        alert_id: int,
        destination: str,
        notice: str,
        body: Mapping[str, Any],
        now: datetime,
        due_at: datetime,
    ) -> None:
        """Put a notice into the outbox.

        Whatever the stack calls itself by now, an alert keeps the name that its first notice had: receivers know the
        alert by it, and a container has another host name each time that it is made.
        """
        transaction.execute(
            "INSERT INTO deliveries (alert_id, destination, notice, body, created_at, due_at)"
            " VALUES ($1, $2, $3, $4::text::jsonb || jsonb_build_object('source', coalesce((SELECT body ->> 'source'"
            " FROM deliveries WHERE alert_id = $1 ORDER BY id LIMIT 1), $5::text)), $6, $7)",
            (alert_id, destination, notice, json.dumps(body), self._source, now, due_at),
        )


def _faults(transaction: Transaction, now: datetime) -> list[Alert]:
    """Faults of the data that explain other things: open ones, and those that have ended of late."""
    recent = _alerts(transaction, "kind = 'data' AND (resolved_at IS NULL OR resolved_at > $1)", now - _LATE)
    return [alert for alert in recent if alert.key in EXPLAINING]


def open_keys(transaction: Transaction) -> set[str]:
    """Keys of the open alerts."""
    return set(transaction.query("SELECT key FROM alerts WHERE resolved_at IS NULL")["key"].to_pylist())


def _alerts(transaction: Transaction, where: str, *parameters: object) -> list[Alert]:
    rows = transaction.query(f"SELECT {_COLUMNS} FROM alerts WHERE {where} ORDER BY id", parameters).to_pylist()
    return [_alert(row) for row in rows]


def _alert(row: dict[str, Any]) -> Alert:
    times = {
        name: row[name].astimezone(UTC) if row[name] else None for name in ("opened_at", "notified_at", "resolved_at")
    }
    members = tuple(Member(**member) for member in json.loads(row["members"]))
    return Alert(**{**row, **times, "members": members})


def _insert(transaction: Transaction, alert: Alert, epoch: int) -> int:
    (alert_id,) = transaction.query(
        "INSERT INTO alerts (key, kind, severity, title, members, explained_by, opened_at, changed_at, epoch)"
        " VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::bigint, $7, $7, $8) RETURNING id",
        (
            *(alert.key, alert.kind, alert.severity, alert.title, _members(alert), alert.explained_by),
            *(alert.opened_at, epoch),
        ),
    )["id"].to_pylist()
    return int(alert_id)


def _update(transaction: Transaction, alert: Alert, epoch: int, now: datetime) -> None:
    transaction.execute(
        "UPDATE alerts SET severity = $1, members = $2::text::jsonb, explained_by = $3::bigint, changed_at = $4,"
        " epoch = $5 WHERE id = $6 AND (severity, members, explained_by) IS DISTINCT FROM"
        " ($1, $2::text::jsonb, $3::bigint)",
        (alert.severity, _members(alert), alert.explained_by, now, epoch, alert.id),
    )


def _members(alert: Alert) -> str:
    return json.dumps(_listed(alert))


def _listed(alert: Alert) -> list[dict[str, str]]:
    return [{"scope": each.scope, "subject": each.subject, "says": each.says} for each in alert.members]


def _body(alert: Alert, notice: str) -> dict[str, Any]:
    """What a destination is told: enough for a message, no secret and no person."""
    return {
        "id": alert.id,
        "notice": notice,
        "key": alert.key,
        "kind": alert.kind,
        "severity": alert.severity,
        "title": alert.title,
        "members": _listed(alert),
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }
