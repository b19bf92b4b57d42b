"""What the detectors of hours have learnt from."""

from datetime import datetime
from typing import Annotated

import strawberry

from serving.queries.trainings import newest_trainings
from serving.schema.common import page_size
from serving.schema.context import Info
from serving.schema.detectors import Detector
from serving.schema.scalars import Long


@strawberry.type(description="A training of the detectors of hours; its models judge until the next one.")
class Training:
    version: Long = strawberry.field(description="`modelVersion` of the flags that its models make.")
    trained_at: datetime = strawberry.field(description="When they were trained.")
    trained_from: datetime = strawberry.field(description="The first hour learnt from.")
    trained_until: datetime = strawberry.field(description="The end of the last one.")
    detectors: list[Detector] = strawberry.field(description="Those that learnt.")
    methods: list[str] = strawberry.field(description="`detectors` as texts.", deprecation_reason="Use `detectors`.")
    series: Long = strawberry.field(description="Metrics of the site, of categories and products that were learnt.")
    models: Long = strawberry.field(description="One per series and method.")


async def trainings(
    info: Info, first: Annotated[int, strawberry.argument(description="Most trainings wanted.")] = 1
) -> list[Training]:
    """The trainings that are kept, newest first."""
    rows = await info.context.snapshot.rows(newest_trainings(page_size("first", first, info)))
    return [Training(**row._mapping, detectors=[Detector(method) for method in row.methods]) for row in rows]
