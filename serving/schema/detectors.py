"""What is watched, and by which detectors (docs/detection.md)."""

from enum import Enum

import strawberry


@strawberry.enum(description="What is watched in windows; what bots do is left out.")
class WatchedMeasure(Enum):
    EVENTS = strawberry.enum_value("events", description="Events of any kind.")
    VIEWS = strawberry.enum_value("views", description="Page views and product views.")
    ADDS = strawberry.enum_value("adds", description="Additions to a cart.")
    CHECKOUTS = strawberry.enum_value("checkouts", description="Checkouts begun.")
    PURCHASES = strawberry.enum_value("purchases", description="Order lines bought.")
    REVENUE = strawberry.enum_value("revenue", description="Money of the purchases, in the shop's currency.")


@strawberry.enum(description="How windows are judged, and the unit of the score.")
class Detector(Enum):
    ROBUST_Z = strawberry.enum_value(
        "robust_z", description="Distance from the median of the windows before, in their median absolute deviations."
    )
    IQR = strawberry.enum_value(
        "iqr",
        description="Distance beyond the nearer quartile of the windows before, in widths of their middle half.",
    )
    SEASONAL_TREND = strawberry.enum_value(
        "seasonal_trend",
        description="Distance from what trend and season let expect of the hour, in spreads of what they left over.",
    )
    ISOLATION_FOREST = strawberry.enum_value(
        "isolation_forest", description="How few random cuts part the last day's shape from those learnt from."
    )
    ONE_CLASS_SVM = strawberry.enum_value(
        "one_class_svm", description="How far the last day's shape lies outside of those learnt from."
    )
