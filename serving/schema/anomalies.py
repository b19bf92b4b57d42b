"""What is odd in the shop's numbers, window by window."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from serving.cursors import ANOMALIES, Key
from serving.queries import ResultRow
from serving.queries.anomalies import Flags
from serving.schema.common import Bounds, Range, page_size
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.detectors import Detector, WatchedMeasure
from serving.schema.scalars import Long


@strawberry.enum(description="What a metric is counted of.")
class Scope(Enum):
    SITE = strawberry.enum_value("site", description="The whole shop.")
    CATEGORY = strawberry.enum_value("category", description="One category.")
    PRODUCT = strawberry.enum_value("product", description="One product.")


@strawberry.enum(description="How bad it is.")
class Severity(Enum):
    WARNING = strawberry.enum_value("warning", description="To be looked at.")
    CRITICAL = strawberry.enum_value("critical", description="To be looked at now.")


@strawberry.enum(description="Which way it is off.")
class Direction(Enum):
    UP = strawberry.enum_value("up", description="More than expected.")
    DOWN = strawberry.enum_value("down", description="Less than expected.")


@strawberry.type(description="A part of a flagged scope that moved with it.")
class Contribution:
    dimension: str = strawberry.field(description="`category` or `product`.")
    value: str = strawberry.field(description="Which category or product.")
    expected: float = strawberry.field(description="Mean of the windows before.")
    observed: float = strawberry.field(description="What was in the window.")


@strawberry.type(description="A window that a detector finds odd. One judged again is the same, with other numbers.")
class Anomaly(Bounds):
    measure: WatchedMeasure = strawberry.field(description="What is odd.")
    metric: str = strawberry.field(description="`measure` as a text.", deprecation_reason="Use `measure`.")
    scope: Scope = strawberry.field(description="What the metric is counted of.")
    subject: str = strawberry.field(description="Which category or product; empty for the site.")
    detector: Detector = strawberry.field(description="Which one finds it odd.")
    method: str = strawberry.field(description="`detector` as a text.", deprecation_reason="Use `detector`.")
    expected: float = strawberry.field(
        description="What the detector expected of the window, in the metric's unit: a count, or the shop's currency."
    )
    observed: float = strawberry.field(description="What was in the window, in the same unit.")
    score: float = strawberry.field(description="How far off, in the detector's unit.")
    threshold: float = strawberry.field(description="The score from which the detector flags.")
    severity: Severity = strawberry.field(description="CRITICAL from twice the threshold on.")
    direction: Direction = strawberry.field(description="Whether it is more or less than expected.")
    contributions: list[Contribution] = strawberry.field(
        description="What moved most with it, the most first: of the site categories, of a category products."
    )
    standing: bool = strawberry.field(description="False where late events changed the window and took the flag back.")
    epoch: Long = strawberry.field(description="The commit as of which it was last judged.")
    judged_at: datetime = strawberry.field(description="When it was last judged.")
    model_version: Long | None = strawberry.field(
        description="Of the training whose model judged it; null of detectors that learn nothing beforehand."
    )


InScope = Annotated[Scope | None, strawberry.argument(description="Only what is counted of this.")]
OfSubject = Annotated[str | None, strawberry.argument(description="Only this category or product.")]
OfMeasure = Annotated[WatchedMeasure | None, strawberry.argument(description="Only this measure.")]
OfMetric = Annotated[
    str | None, strawberry.argument(description="`measure` as a text.", deprecation_reason="Use `measure`.")
]
Standing = Annotated[
    bool, strawberry.argument(description="True for flags that hold, false for those that late events took back, too.")
]


async def anomalies(
    info: Info,
    range: Range,
    *,
    scope: InScope = None,
    subject: OfSubject = None,
    measure: OfMeasure = None,
    metric: OfMetric = None,
    standing: Standing = True,
    first: Annotated[int, strawberry.argument(description="Most flags wanted.")] = 100,
) -> list[Anomaly]:
    """The newest windows first, in each the surest flag."""
    flags = Flags(range.span(), _text(scope), subject, _text(measure) or metric, standing)
    rows = await info.context.snapshot.rows(flags.surest(page_size("first", first, info)))
    return [_anomaly(row) for row in rows]


async def anomalies_connection(
    info: Info,
    range: Range,
    *,
    scope: InScope = None,
    subject: OfSubject = None,
    measure: OfMeasure = None,
    metric: OfMetric = None,
    standing: Standing = True,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Anomaly]:
    """The newest windows first."""
    flags = Flags(range.span(), _text(scope), subject, _text(measure) or metric, standing)
    which = Which(first, after, last, before)
    return await connection(info, ANOMALIES, which, flags.page, key=_key, node=_anomaly)


def _text(one: Enum | None) -> str | None:
    return str(one.value) if one is not None else None


def _key(row: ResultRow) -> Key[datetime]:
    return Key(row.window_end, (row.window_start, row.scope, row.metric, row.method, row.subject))


def _anomaly(row: ResultRow) -> Anomaly:
    told = dict(row._mapping)
    return Anomaly(
        **told
        | {
            "measure": WatchedMeasure(told["metric"]),
            "detector": Detector(told["method"]),
            "scope": Scope(told["scope"]),
            "severity": Severity(told["severity"]),
            "direction": Direction(told["direction"]),
            "contributions": [Contribution(**part) for part in told["contributions"]],
        }
    )
