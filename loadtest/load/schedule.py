"""When each request is due: the open model. Nothing that a server does changes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.load.workload import Stage


@dataclass(frozen=True)
class Schedule:
    """The due times of one kind of request, evenly spaced within each stage.

    `per_event` is how many of these requests there are for each event of the stages' rates.
    """

    stages: Sequence[Stage]
    per_event: float

    def due(self, number: int) -> float | None:
        """Seconds after the start at which request `number` (from 0) is to be sent; None after the end."""
        left, start = number / self.per_event, 0.0
        for stage in self.stages:
            events = stage.seconds * stage.events_per_second
            if left < events:
                return start + left / stage.events_per_second
            left -= events
            start += stage.seconds
        return None


def steady(requests_per_second: float, seconds: float) -> Schedule:
    """A schedule that knows no stages."""
    return Schedule((Stage(seconds=seconds, events_per_second=requests_per_second),), 1.0)
