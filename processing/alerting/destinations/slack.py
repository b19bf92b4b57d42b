"""Slack, by an incoming webhook.

Slack tells no repetition: a notice of which it is not known whether it arrived is sent again and may show twice.
"""

import json
from typing import Literal

from pydantic import SecretStr

from processing.alerting.destinations.destination import Json, Notice, Sieve, shortened
from processing.alerting.destinations.http import post

_HEADER, _SECTION = 150, 3000
"""Slack's longest header and section."""


class Slack(Sieve):
    """Settings, and what is sent by them."""

    kind: Literal["slack"]
    url: SecretStr
    """Whoever knows it can post there."""
    allow_private: bool = False

    @property
    def knows_acknowledgement(self) -> bool:
        """See `Destination`."""
        return False

    def send(self, notice: Notice) -> None:
        """See `Destination`."""
        body = json.dumps(payload(notice)).encode()
        headers = {"Content-Type": "application/json"}
        post(self.url.get_secret_value(), body, headers, allow_private=self.allow_private)


def payload(notice: Notice) -> Json:
    """Text for notifications, blocks for the channel."""
    sign = {"resolved": ":white_check_mark:"}.get(
        notice.notice, ":rotating_light:" if notice.severity == "critical" else ":warning:"
    )
    lines = "\n".join(f"• {_escaped(line)}" for line in notice.lines)
    context = f"{notice.source} · alert {notice.alert_id} · since {notice.opened_at}"
    return {
        "text": _escaped(notice.headline),
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": shortened(f"{sign} {notice.headline}", _HEADER), "emoji": True},
            },
            {"type": "section", "text": {"type": "mrkdwn", "text": shortened(lines or "…", _SECTION)}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(context)}]},
        ],
    }


def _escaped(text: str) -> str:
    """Slack's three control characters; without this a product's name could mention a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
