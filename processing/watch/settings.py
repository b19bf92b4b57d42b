"""Everything about the watch that can be set."""

import socket
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator

from contracts.settings import PartSettings, PostgresSettings, ShopSettings
from processing.alerting.data_faults import DataFaults
from processing.alerting.destinations.email import Email
from processing.alerting.destinations.pagerduty import PagerDuty
from processing.alerting.destinations.slack import Slack
from processing.alerting.destinations.webhook import Webhook
from processing.alerting.rule_settings import Rule, with_defaults

AnyDestination = Annotated[Slack | PagerDuty | Email | Webhook, Field(discriminator="kind")]


class Trained(BaseModel):
    """By method, the score from which an hour is flagged; `None` (in the environment `null`) leaves a method out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seasonal_trend: PositiveFloat | None = 5.0
    """Spreads from what trend and season let expect; docs/detection.md has the table all three were chosen from."""
    isolation_forest: PositiveFloat | None = 1.3
    """1 is what one hour in a hundred exceeds of those learnt from."""
    one_class_svm: PositiveFloat | None = 6.0
    """The same. Far outside it grows no more, so a threshold may be too high to be reached at all."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Of those that are not left out."""
        return self.model_dump(exclude_none=True)


class WatchSettings(PartSettings):
    """`MILLRACE_WATCH_*`, table `[watch]`."""

    part: ClassVar[str] = "watch"

    host: str = "127.0.0.1"
    """Address of the health and metrics server."""
    port: int = Field(default=7076, ge=1, le=65535)
    """Port of the health and metrics server."""
    interval_seconds: float = Field(default=1.0, gt=0)
    """How often it looks whether an epoch was committed."""
    look_back_hours: float = Field(default=6.0, gt=0)
    """Windows that ended longer than this before the watermark are not judged: not at a first start, and not again when
    something late comes to them."""
    robust_z_threshold: float = Field(default=4.0, gt=0)
    """Median absolute deviations from which a window is flagged; docs/detection.md has the table it was chosen from."""
    iqr_threshold: float = Field(default=2.5, gt=0)
    """The same in interquartile ranges beyond the nearer quartile."""

    trained: Trained = Trained()
    """The methods that learn from hours."""
    train_interval_seconds: float = Field(default=900.0, ge=0)
    """How often it is looked whether a training is due; 0 for never."""
    train_every_hours: float = Field(default=24.0, gt=0)
    """Models older than this are trained anew."""
    forecast_interval_seconds: float = Field(default=900.0, ge=0)
    """How often it is looked whether an hour has closed since the last forecast; 0 for never."""

    alert_seconds: float = Field(default=5.0, ge=0)
    """How often rules are looked at and alerts brought up to date."""
    alert_within_minutes: float = Field(default=60.0, gt=0)
    """What the shop's numbers say of longer ago is flagged and opens no alert: a backlog, an import."""
    anomaly_alerts: bool = True
    """Whether flags open alerts."""
    rules: dict[str, Rule] = Field(default_factory=dict, validate_default=True)
    """By name; those named as a rule that there is change what they name of it. docs/alerts.md."""
    data: DataFaults = DataFaults()
    """When the data are at fault."""
    destinations: dict[str, AnyDestination] = Field(default_factory=dict)
    """By name. docs/alerts.md."""
    source: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """What this stack calls itself in notices."""

    @field_validator("rules", mode="before")
    @classmethod
    def _over_the_defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        return with_defaults(given)


class Settings:
    """All the settings this part reads, loaded once at start."""

    def __init__(self) -> None:
        self.watch = WatchSettings()
        self.postgres = PostgresSettings()
        self.shop = ShopSettings()
