"""What is counted of events, wherever it is told."""

from decimal import Decimal

import strawberry

from serving.schema.common import CURRENCY
from serving.schema.scalars import Long


@strawberry.type
class Counts:
    """Fields of the types that are counted so."""

    views: Long = strawberry.field(description="Page views and product views.")
    clicks: Long = strawberry.field(description="Clicks.")
    searches: Long = strawberry.field(description="Searches.")
    adds: Long = strawberry.field(description="Additions to a cart.")
    removes: Long = strawberry.field(description="Removals from a cart.")
    checkouts: Long = strawberry.field(description="Checkouts begun.")
    purchases: Long = strawberry.field(description="Order lines bought.")
    units: Long = strawberry.field(description="Pieces bought.")
    revenue: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.interface(description="What is counted of events.")
class ProductMeasures(Counts):
    refunds: Long = strawberry.field(description="Order lines refunded.")
    refunded: Decimal = strawberry.field(description="Money of the refunds, positive.")
