"""PagerDuty, by its Events API v2. All notices of an alert carry its `dedup_key`, so one sent again changes nothing."""

import json
from typing import Literal

from pydantic import SecretStr

from processing.alerting.destinations.destination import Json, Notice, Sieve, shortened
from processing.alerting.destinations.http import post

_SUMMARY = 1024
_ACTIONS = {"opened": "trigger", "changed": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}


class PagerDuty(Sieve):
    """Settings, and what is sent by them."""

    kind: Literal["pagerduty"]
    routing_key: SecretStr
    url: str = "https://events.pagerduty.com/v2/enqueue"
    """`https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU."""
    allow_private: bool = False

    @property
    def knows_acknowledgement(self) -> bool:
        """See `Destination`."""
        return True

    def send(self, notice: Notice) -> None:
        """See `Destination`."""
        body = json.dumps(payload(notice, self.routing_key.get_secret_value())).encode()
        post(self.url, body, {"Content-Type": "application/json"}, allow_private=self.allow_private)


def payload(notice: Notice, routing_key: str) -> Json:
    """The event; one that only acknowledges or resolves has no payload of its own."""
    action = _ACTIONS[notice.notice]
    event: Json = {"routing_key": routing_key, "event_action": action, "dedup_key": notice.incident_id}
    if action == "trigger":
        event["client"] = "Millrace"
        event["payload"] = {
            "summary": shortened("; ".join([notice.title, *notice.lines]), _SUMMARY),
            "source": notice.source,
            "severity": notice.severity,
            "timestamp": notice.opened_at,
            "component": notice.kind,
            "group": notice.kind,
            "class": notice.key,
            "custom_details": {"alert": notice.alert_id, "members": list(notice.members)},
        }
    return event
