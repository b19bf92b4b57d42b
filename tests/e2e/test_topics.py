"""What the parts have written to the topics, held against the AsyncAPI document: headers, keys and values."""

import json
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from fastavro import parse_schema, schemaless_reader
from jsonschema import Draft202012Validator

from tests.e2e.millrace import REPOSITORY, TEST_PRODUCT, TEST_USER, Millrace, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHANNELS: Final[dict[str, Any]] = json.loads((REPOSITORY / "contracts/kafka.asyncapi.json").read_text("utf-8"))[
    "channels"
]
NEWEST: Final = 20
"""Records of each partition that are looked at."""


def test_every_topic_holds_records_as_they_are_described(millrace: Millrace) -> None:
    """Of one event, one sale, one refusal, and what came before them."""
    user = f"{TEST_USER}-topics"
    common = {"user_id": user, "session_id": user, "product_id": TEST_PRODUCT, "category": "e2e"}
    event: dict[str, Any] = {
        **common,
        "event_id": uuid.uuid4().hex,
        "action": "view",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    sale: dict[str, Any] = {
        **common,
        "transaction_id": uuid.uuid4().hex,
        "timestamp": event["timestamp"],
        "amount": "1.00",
    }
    sale |= {"quantity": 1, "payment_method": "card"}
    trace = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"
    answer = millrace.post([event, sale, {**event, "event_id": ""}], headers={"traceparent": trace})
    assert answer.json()["accepted"] == 2, answer.text
    millrace.settled()
    read: dict[str, list[dict[str, Any]]] = {}
    for name, channel in CHANNELS.items():
        # Rows and tallies are written when what they tell of is done already.
        found = until(lambda topic=name: _newest(millrace, topic) or None, 60, f"records in {name}")  # type: ignore[misc]
        read[name] = [_checked(channel["messages"], message) for message in found]
    assert event["event_id"] in {value["event_id"] for value in read["clickstream"]}
    assert sale["transaction_id"] in {value["transaction_id"] for value in read["transactions"]}
    assert read["rejected"]


def _newest(millrace: Millrace, topic: str) -> list[Message]:
    reach = f"127.0.0.1:{millrace.base_port + 3}"
    consumer = Consumer({"bootstrap.servers": reach, "group.id": "topics", "enable.auto.commit": False})
    found: list[Message] = []
    try:
        for number in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)
            start = max(first, end - NEWEST)
            if start < end:
                consumer.assign([TopicPartition(topic, number, start)])
                found += [message for message in consumer.consume(end - start, timeout=3) if not message.error()]
    finally:
        consumer.close()
    return found


def _checked(messages: Mapping[str, Any], message: Message) -> dict[str, Any]:
    """The value of a record, once headers, key and value are those of one of the topic's messages."""
    key, value = message.key(), message.value()
    described = _described(messages, value)
    keyed = "key" in described["bindings"]["kafka"]
    assert keyed == bool(key)
    headers = dict(message.headers() or [])
    allowed = described.get("headers", {"type": "object", "properties": {}})
    texts = {name: sent.decode() for name, sent in headers.items() if isinstance(sent, bytes)}
    Draft202012Validator({**allowed, "additionalProperties": False}).validate(texts)
    assert texts.keys() == headers.keys()
    if described["contentType"] == "application/json":
        told: dict[str, Any] = json.loads(value) if value is not None else {}
        if value is not None:  # a row that is gone has none
            Draft202012Validator(described["payload"]).validate(told)
        return told
    rest = BytesIO((value or b"")[5:])
    decoded: Any = schemaless_reader(rest, parse_schema(described["payload"]["schema"]), None)
    assert rest.read() == b""
    if keyed:
        assert key == decoded["user_id"].encode()
    return dict(decoded)


def _described(messages: Mapping[str, Any], value: bytes | None) -> dict[str, Any]:
    """Which of a topic's messages it is: the one that the schema id ahead of the value names, or the only one."""
    if {described["contentType"] for described in messages.values()} == {"application/json"}:
        (described,) = messages.values()
    else:
        magic, number = struct.unpack(">bI", (value or b"")[:5])
        assert magic == 0
        (described,) = [each for each in messages.values() if each["title"] == f"Schema id {number}"]
    return dict(described)
