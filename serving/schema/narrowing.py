"""Arguments that narrow an answer down; several roots have them."""

from typing import Annotated

import strawberry

Device = Annotated[
    str | None, strawberry.argument(description="Sessions on such a device: `desktop`, `mobile`, `tablet`, `tv`, …")
]
Medium = Annotated[
    str | None, strawberry.argument(description="Sessions whose visitor came so: `direct`, `search`, `social`, …")
]
Source = Annotated[
    str | None,
    strawberry.argument(
        description="Sessions whose visitor came from there: the campaign's `utm_source`, else the referring site."
    ),
]
CategoryOfVisit = Annotated[
    str | None, strawberry.argument(description="Sessions in which this was the first category that an event named.")
]
ProductOfVisit = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="Sessions with this product among their first 50 events. It is sought in their paths: a range with "
        "too many sessions is TOO_LARGE."
    ),
]
Products = Annotated[list[strawberry.ID] | None, strawberry.argument(description="Only these products.")]
Categories = Annotated[
    list[str] | None, strawberry.argument(description="Only what events did that named one of these categories.")
]
