"""Rules as they are set: conditions on the measures of a scope in a sliding window, and when and how loudly to tell."""

from datetime import time
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from processing.alerting.firing import QuietHours, Severity
from processing.alerting.measures import Axis, Scope, axis_of, check_scope, of_metric, volume_of


class Condition(BaseModel):
    """A metric above or below a value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    """A measure such as `views`, a ratio such as `bounce_rate`, or one measure by another: `purchases / checkouts`."""
    above: float | None = None
    below: float | None = None

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        of_metric(metric)
        return " / ".join(part.strip() for part in metric.split("/"))

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("a condition has either `above` or `below`")
        return self

    @property
    def measures(self) -> tuple[str, ...]:
        """What has to be counted for it."""
        return of_metric(self.metric)

    def holds(self, value: float) -> bool:
        """Whether the value is beyond; a quotient of nothing is not."""
        return value > self.above if self.above is not None else self.below is not None and value < self.below

    def __str__(self) -> str:
        return f"{self.metric} {'above' if self.above is not None else 'below'} {number(self.above or self.below or 0)}"


def number(value: float) -> str:
    """For people: thousands apart, and no more digits than say something."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


class Quiet(BaseModel):
    """Quiet hours as they are set; `22:00` to `07:00` goes over midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: time
    end: time

    def hours(self, zone: ZoneInfo) -> QuietHours:
        """In the shop's zone."""
        return QuietHours(self.start, self.end, zone)


class Rule(BaseModel):
    """What holds when all conditions do, in a window that slides by minutes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=120)
    """What the alert is called."""
    enabled: bool = True
    scope: Scope = "site"
    window_minutes: int = Field(default=10, ge=1, le=180)
    conditions: tuple[Condition, ...] = Field(min_length=1)
    minimum_events: float = Field(default=0, ge=0)
    """Less than so many events in the window (of arrivals, records) is too little to say anything."""
    for_minutes: int = Field(default=1, ge=1, le=120)
    """The conditions must hold in windows that end in so many minutes one after another."""
    severity: Severity = "warning"
    quiet: Quiet | None = None
    """Hours in the shop's time zone in which a warning waits."""

    @model_validator(mode="after")
    def _known_together(self) -> Self:
        check_scope(self.named, self.scope)
        return self

    @property
    def named(self) -> list[str]:
        """The measures that its conditions name."""
        return list(dict.fromkeys(name for each in self.conditions for name in each.measures))

    @property
    def axis(self) -> Axis:
        """Of what its minutes are."""
        return axis_of(self.named)

    @property
    def volume(self) -> str:
        """The measure that `minimum_events` is held against, and by which its members are ordered."""
        return volume_of(self.axis, self.scope)


DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "flash-sale": {
        "title": "Viewed much, bought little",
        "scope": "product",
        "window_minutes": 10,
        "conditions": [{"metric": "views", "above": 100}, {"metric": "purchases", "below": 5}],
    },
    "checkout": {
        "title": "Checkouts do not end in purchases",
        "scope": "site",
        "window_minutes": 10,
        "conditions": [{"metric": "checkouts", "above": 20}, {"metric": "purchases / checkouts", "below": 0.1}],
        "severity": "critical",
    },
}
"""The rules that there are without being set. What is set of one of these names changes only what it names."""


def with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """The rules, with those that are set laid over the defaults."""
    return {name: {**DEFAULTS.get(name, {}), **given.get(name, {})} for name in (DEFAULTS | given)}
