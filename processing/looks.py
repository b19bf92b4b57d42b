"""Looks at something outside, every few seconds while the query runs: a fault is left for the next look."""

from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

log = structlog.get_logger()

_EVERY_SECONDS: Final = 5.0


class Looks:
    """When to look again, and one warning per outage, called `event`; other exceptions than `faults` are raised."""

    def __init__(self, event: str, *faults: type[Exception]) -> None:
        self._event = event
        self._faults = faults
        self._looked_at = -_EVERY_SECONDS
        self._known = True

    def take(self, look: Callable[[], None]) -> None:
        """Look, if it is time to."""
        if monotonic() - self._looked_at < _EVERY_SECONDS:
            return
        self._looked_at = monotonic()
        try:
            look()
            self._known = True
        except self._faults as error:
            if self._known:
                log.warning(self._event, error=str(error))
            self._known = False
