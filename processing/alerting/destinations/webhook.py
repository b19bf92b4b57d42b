"""Any HTTP receiver, signed as Standard Webhooks say: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

The id is the same for every attempt: a receiver that remembers it takes each notice once.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Literal, Self

from pydantic import SecretStr, model_validator

from processing.alerting.destinations.destination import Json, Notice, Sieve
from processing.alerting.destinations.http import post

_PREFIX = "whsec_"


class Webhook(Sieve):
    """Settings, and what is sent by them."""

    kind: Literal["webhook"]
    url: SecretStr
    secret: SecretStr
    """`whsec_` and base64 of 24 to 64 bytes."""
    allow_private: bool = False

    @model_validator(mode="after")
    def _secret_can_be_read(self) -> Self:
        _key(self.secret)
        return self

    @property
    def knows_acknowledgement(self) -> bool:
        """See `Destination`."""
        return True

    def send(self, notice: Notice) -> None:
        """See `Destination`."""
        body = json.dumps(payload(notice)).encode()
        sent_at = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": notice.message_id,
            "webhook-timestamp": sent_at,
            "webhook-signature": signature(_key(self.secret), notice.message_id, sent_at, body),
        }
        post(self.url.get_secret_value(), body, headers, allow_private=self.allow_private)


def payload(notice: Notice) -> Json:
    """The alert as it was when the notice was written."""
    return {
        "type": f"alert.{notice.notice}",
        "timestamp": notice.resolved_at or notice.opened_at,
        "data": {
            "alert": notice.alert_id,
            "incident": notice.incident_id,
            "key": notice.key,
            "kind": notice.kind,
            "severity": notice.severity,
            "title": notice.title,
            "members": list(notice.members),
            "opened_at": notice.opened_at,
            "resolved_at": notice.resolved_at,
            "source": notice.source,
        },
    }


def signature(key: bytes, message_id: str, sent_at: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body."""
    signed = b".".join((message_id.encode(), sent_at.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(secret: SecretStr) -> bytes:
    """Raises ValueError, without the secret in it."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("the secret is not `whsec_` and base64 of 24 to 64 bytes")
    return key
