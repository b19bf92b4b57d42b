"""The CloudEvents SDK, unmodified, before a real gateway and a real broker."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
CLICK = {"user_id": "u", "session_id": "s", "action": "view", "product_id": "p-1"}


def made(own: str) -> CloudEvent:
    attributes = {
        "specversion": "1.0", "id": own, "source": "/café", "type": "millrace.clickstream", "time": datetime.now(UTC),
        "datacontenttype": "application/json", "subject": 'a "quoted" 100%',
    }  # fmt: skip
    return CloudEvent(attributes, CLICK)


def test_binary_structured_and_batched(gateway: Any) -> None:
    head = {"Authorization": f"Bearer {KEY}"}
    messages = [to_binary_event(made("binary")), to_structured_event(made("structured"))]
    for message in messages:
        answer = gateway.client.post("/cloudevents", content=message.body, headers={**message.headers, **head})
        assert answer.status_code == 200, answer.text
    batch = b"[" + b",".join(JSONFormat().write(made(own)) for own in ("first", "second")) + b"]"  # the SDK makes none
    head["Content-Type"] = "application/cloudevents-batch+json"
    assert gateway.client.post("/cloudevents", content=batch, headers=head).json()["accepted"] == 2
    found = {record["event_id"]: record for record, _, _ in gateway.records("clickstream")}
    assert set(found) == {"/café#binary", "/café#structured", "/café#first", "/café#second"}
    assert {record["product_id"] for record in found.values()} == {"p-1"}
    assert all(abs((datetime.now(UTC) - record["timestamp"]).total_seconds()) < 60 for record in found.values())
