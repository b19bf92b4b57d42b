"""Alerts with what became of their notices, and the one statement of serving's that changes a row."""

from typing import Any

from sqlalchemy import Select, extract, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from contracts.alerts import alerts, deliveries
from contracts.tables import ALERTS, NOTIFY_CHANNEL
from serving.queries import Statement
from serving.queries.paging import Page, paged


def alerts_page(page: Page, *, resolved: bool | None) -> Statement:
    """Alerts, the newest first: resolved ones, open ones, or both (None)."""
    statement = _with_deliveries()
    if resolved is not None:
        statement = statement.where(alerts.c.resolved_at.is_not(None) if resolved else alerts.c.resolved_at.is_(None))
    return paged(statement, (alerts.c.opened_at, alerts.c.id), page)


def one_alert(alert_id: int) -> Statement:
    """An alert by its id."""
    return _with_deliveries().where(alerts.c.id == alert_id)


def acknowledge(alert_id: int, by: str) -> ReturningUpdate[Any]:
    """Note who sees to an open alert; who did so first stays. The commit tells everybody who listens."""
    return (
        update(alerts)
        .where(alerts.c.id == alert_id, alerts.c.resolved_at.is_(None))
        .values(
            acknowledged_at=func.coalesce(alerts.c.acknowledged_at, func.clock_timestamp()),
            acknowledged_by=func.coalesce(alerts.c.acknowledged_by, by),
        )
        .returning(func.pg_notify(NOTIFY_CHANNEL, ALERTS))
    )


def _with_deliveries() -> Select[*tuple[Any, ...]]:
    told = (
        select(
            func.coalesce(
                func.jsonb_agg(
                    func.jsonb_build_array(
                        deliveries.c.destination,
                        deliveries.c.notice,
                        deliveries.c.attempts,
                        extract("epoch", deliveries.c.delivered_at),
                        extract("epoch", deliveries.c.dropped_at),
                        deliveries.c.error,
                    ),
                ),
                func.jsonb_build_array(),
            ).cast(JSONB)
        )
        .where(deliveries.c.alert_id == alerts.c.id)
        .scalar_subquery()
    )
    return select(alerts, told.label("deliveries"))
