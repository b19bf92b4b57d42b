"""Where notices go: one file per kind of destination, all behind `Destination`."""

from processing.alerting.destinations.destination import (
    Destination,
    NotDeliveredError,
    Notice,
    RefusedError,
)

__all__ = ["Destination", "NotDeliveredError", "Notice", "RefusedError"]
