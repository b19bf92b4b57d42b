"""What the detectors of hours have been trained on."""

from sqlalchemy import Text, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from contracts.models import detector_models
from serving.queries import Statement


def newest_trainings(first: int) -> Statement:
    """The trainings that are kept, newest first: what all models of each have in common, and how many there are."""
    table = detector_models.c
    method = table.method
    methods = cast(func.array_agg(aggregate_order_by(method.distinct(), method)), ARRAY(Text))
    return (
        select(
            table.version,
            func.max(table.trained_at).label("trained_at"),
            func.min(table.trained_from).label("trained_from"),
            func.max(table.trained_until).label("trained_until"),
            func.count().label("models"),
            func.count(tuple_(table.scope, table.subject, table.metric).distinct()).label("series"),
            methods.label("methods"),
        )
        .group_by(table.version)
        .order_by(table.version.desc())
        .limit(first)
    )
