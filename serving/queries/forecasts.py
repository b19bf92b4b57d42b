"""What is expected of hours."""

from sqlalchemy import select

from contracts.models import forecasts
from serving.queries import Statement
from serving.queries.measures import moment
from serving.windows import Span


def forecast_hours(span: Span, *, scope: str, subject: str, metric: str) -> Statement:
    """Forecasts of the hours that start in the span, the earliest first."""
    table = forecasts
    return (
        select(table)
        .where(
            table.c.scope == scope,
            table.c.subject == subject,
            table.c.metric == metric,
            table.c.hour >= moment(span.start),
            table.c.hour < moment(span.end),
        )
        .order_by(table.c.hour)
    )
