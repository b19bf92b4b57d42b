"""What is odd in the shop's numbers, window by window."""

from datetime import datetime
from enum import Enum

import strawberry

from serving.queries import ResultRow
from serving.queries.anomalies import flagged
from serving.schema.common import Range, page_size
from serving.schema.context import Info
from serving.schema.scalars import Long


@strawberry.enum(description="What a metric is counted of.")
class Scope(Enum):
    SITE = "site"
    CATEGORY = "category"
    PRODUCT = "product"


@strawberry.enum(description="How bad it is.")
class Severity(Enum):
    WARNING = "warning"
    CRITICAL = "critical"


@strawberry.enum(description="Which way it is off.")
class Direction(Enum):
    UP = "up"
    DOWN = "down"


@strawberry.type(description="A part of a flagged scope that moved with it.")
class Contribution:
    dimension: str = strawberry.field(description="`category` or `product`.")
    value: str
    expected: float = strawberry.field(description="Mean of the windows before.")
    observed: float


@strawberry.type(description="A window that a detector finds odd. One judged again is the same, with other numbers.")
class Anomaly:
    window_start: datetime
    window_end: datetime
    metric: str = strawberry.field(description="A measure such as `views`; what bots did is left out.")
    scope: Scope
    subject: str = strawberry.field(description="Which category or product; empty for the site.")
    method: str
    expected: float
    observed: float
    score: float = strawberry.field(description="How far off, in the method's unit.")
    threshold: float = strawberry.field(description="The score from which the method flags.")
    severity: Severity = strawberry.field(description="CRITICAL from twice the threshold on.")
    direction: Direction
    contributions: list[Contribution] = strawberry.field(
        description="What moved most with it, the most first: of the site categories, of a category products."
    )
    standing: bool = strawberry.field(description="False where late events changed the window and took the flag back.")
    epoch: Long = strawberry.field(description="The commit as of which it was last judged.")
    judged_at: datetime
    model_version: Long | None = strawberry.field(
        description="Of the training whose model judged it; null of methods that learn nothing beforehand."
    )


async def anomalies(
    info: Info,
    range: Range,
    *,
    scope: Scope | None = None,
    subject: str | None = None,
    metric: str | None = None,
    standing: bool = True,
    first: int = 100,
) -> list[Anomaly]:
    """Flags by the start of their window."""
    rows = await info.context.snapshot.rows(
        flagged(
            range.span(),
            scope=scope.value if scope else None,
            subject=subject,
            metric=metric,
            standing=standing,
            first=page_size("first", first, info),
        )
    )
    return [_anomaly(row) for row in rows]


def _anomaly(row: ResultRow) -> Anomaly:
    told = dict(row._mapping)
    return Anomaly(
        **told
        | {
            "scope": Scope(told["scope"]),
            "severity": Severity(told["severity"]),
            "direction": Direction(told["direction"]),
            "contributions": [Contribution(**part) for part in told["contributions"]],
        }
    )
