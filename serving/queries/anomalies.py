"""What detectors flagged."""

from sqlalchemy import select

from contracts.alerts import anomalies
from serving.queries import Statement
from serving.queries.measures import moment
from serving.windows import Span


def flagged(
    span: Span, *, scope: str | None, subject: str | None, metric: str | None, standing: bool, first: int
) -> Statement:
    """Flags of windows that start in the span, the newest window first, in it the surest; all, or those that stand."""
    table = anomalies
    wanted = [table.c.window_start >= moment(span.start), table.c.window_start < moment(span.end)]
    wanted += [
        column == value
        for column, value in ((table.c.scope, scope), (table.c.subject, subject), (table.c.metric, metric))
        if value is not None
    ]
    if standing:
        wanted.append(table.c.standing)
    return (
        select(table)
        .where(*wanted)
        .order_by(
            table.c.window_end.desc(),
            (table.c.score / table.c.threshold).desc(),
            *(table.c.scope.desc(), table.c.subject, table.c.metric, table.c.method, table.c.window_start),
        )
        .limit(first)
    )
