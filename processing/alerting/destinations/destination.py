"""What a destination is: it takes a notice or says whether trying again may help.

NotDeliveredError   try again later: away, busy, or nobody knows whether it arrived
  RefusedError        never again: what was sent, or where to, is wrong
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from processing.alerting.firing import WORST, Kind, Severity
from processing.errors import ProcessingError


@dataclass(frozen=True)
class Notice:
    """One notice of one alert, to one destination."""

    delivery_id: int
    notice: str
    """opened, changed, acknowledged or resolved."""
    alert_id: int
    key: str
    kind: Kind
    severity: Severity
    title: str
    members: Sequence[dict[str, str]]
    opened_at: str
    resolved_at: str | None
    source: str
    """Which stack says so; with the alert's id it names the alert among those of all stacks."""

    @property
    def message_id(self) -> str:
        """The same for every attempt, and of no other notice: by it a receiver tells a repetition."""
        return f"{self.source}-{self.delivery_id}-{self._begun}"

    @property
    def incident_id(self) -> str:
        """The same for all notices of one alert."""
        return f"{self.source}-alert-{self.alert_id}-{self._begun}"

    @property
    def _begun(self) -> int:
        """Numbers begin anew in a new store; times do not."""
        return int(datetime.fromisoformat(self.opened_at).timestamp())

    @property
    def headline(self) -> str:
        """What it is about in a line."""
        state = {"opened": self.severity, "changed": f"{self.severity}, changed"}.get(self.notice, self.notice)
        return f"[{state}] {self.title}"

    @property
    def lines(self) -> list[str]:
        """What it holds for, a line each."""
        return [f"{each['subject'] or each['scope']}: {each['says']}" for each in self.members]


class NotDeliveredError(ProcessingError):
    """It may arrive later. `after_seconds` is how long the destination asks to wait, if it does."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class RefusedError(NotDeliveredError):
    """It will not arrive, however often it is sent."""


class Destination(Protocol):
    """Somewhere to send notices to."""

    @property
    def knows_acknowledgement(self) -> bool:
        """Whether it is worth telling it that an alert was acknowledged elsewhere."""

    def wants(self, kind: Kind, severity: Severity) -> bool:
        """Whether it is to be told of such alerts."""

    def send(self, notice: Notice) -> None:
        """Send; returns once it was taken. Blocks for some seconds at most.

        The same notice may come again, with the same `message_id`: it then is not known whether it arrived.
        Raises NotDeliveredError and RefusedError, neither with a secret in its text.
        """


class Sieve(BaseModel):
    """What every destination's settings have: which alerts it wants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: Severity = "warning"
    """Alerts below it are not sent."""
    kinds: tuple[Kind, ...] = ("data", "shop")

    def wants(self, kind: Kind, severity: Severity) -> bool:
        """See `Destination`."""
        return kind in self.kinds and WORST.index(severity) >= WORST.index(self.minimum)


def shortened(text: str, longest: int) -> str:
    """The text, cut off with an ellipsis where it is too long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


Json = dict[str, Any]
