"""What is expected of the next hours, and was of those before."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument
from serving.queries import ResultRow
from serving.queries.forecasts import forecast_hours
from serving.schema.anomalies import Scope
from serving.schema.common import CURRENCY, Bounds, TimeRange
from serving.schema.context import Info

_HOUR = timedelta(hours=1)
_CENT = Decimal("0.01")


@strawberry.enum(description="What is forecast; what bots do is left out.")
class ForecastMetric(Enum):
    VIEWS = strawberry.enum_value("views", description="Page views and product views.")
    PURCHASES = strawberry.enum_value("purchases", description="Order lines bought.")
    REVENUE = strawberry.enum_value("revenue", description="Money of the purchases, in the shop's currency.")


@strawberry.type(description="The money that is expected of an hour.")
class ForecastRevenue:
    expected: Decimal = strawberry.field(description="The mean of what may be.")
    low: Decimal = strawberry.field(description="Eight hours in ten end up between `low` and `high`.")
    high: Decimal = strawberry.field(description="See `low`.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.type(description="What is expected of an hour (UTC). Of an hour that has passed, the last that was.")
class ForecastHour(Bounds):
    expected: float = strawberry.field(description="The mean of what may be, in the metric's unit.")
    low: float = strawberry.field(description="Eight hours in ten end up between `low` and `high`.")
    high: float = strawberry.field(description="See `low`.")
    revenue: ForecastRevenue | None = strawberry.field(
        description="The same as money, to two places; null of other metrics than REVENUE."
    )
    made_until: datetime = strawberry.field(description="The end of the last hour that was known when it was made.")


async def forecast(
    info: Info,
    range: Annotated[TimeRange, strawberry.argument(description="Hours that start in it are in the answer.")],
    metric: Annotated[ForecastMetric, strawberry.argument(description="What is forecast.")],
    *,
    scope: Annotated[
        Scope, strawberry.argument(description="Of the site, of a category or of a product.")
    ] = Scope.SITE,
    subject: Annotated[str, strawberry.argument(description="Which category or product; empty for the site.")] = "",
) -> list[ForecastHour]:
    """Forecasts by hour, the earliest first."""
    if (scope is Scope.SITE) != (subject == ""):
        raise InvalidArgument("subject", "a category or product needs its name, and the site has none")
    rows = await info.context.snapshot.rows(
        forecast_hours(range.span(), scope=str(scope.value), subject=subject, metric=str(metric.value))
    )
    currency = info.context.services.shop.currency
    return [
        ForecastHour(
            window_start=row.hour,
            window_end=row.hour + _HOUR,
            expected=row.expected,
            low=row.low,
            high=row.high,
            revenue=_money(row, currency) if metric is ForecastMetric.REVENUE else None,
            made_until=row.made_until,
        )
        for row in rows
    ]


def _money(row: ResultRow, currency: str) -> ForecastRevenue:
    expected, low, high = (Decimal(value).quantize(_CENT, ROUND_HALF_UP) for value in (row.expected, row.low, row.high))
    return ForecastRevenue(expected=expected, low=low, high=high, currency=currency)
