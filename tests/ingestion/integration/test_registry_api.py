"""Stock Confluent clients against the gateway's registry, with records through the real Kafka in both directions."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas_avro import load_registry
from schemas_avro.golden import sample_records

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
REGISTRY = load_registry()
CLICKSTREAM = REGISTRY.latest("clickstream")


@pytest.fixture
def client(gateway: Any) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": f"{gateway.client.base_url}/registry", "max.retries": 0}) as client:
        yield client


def click(event_id: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("product_id", "category", "page_url", "referrer", "user_agent", "search_query"))
    now = datetime.now(UTC).replace(microsecond=0)
    identified = {"event_id": event_id, "user_id": "u", "session_id": "s", "action": "view", "timestamp": now}
    return {**nothing, **identified, "properties": {"k": "v"}}


@pytest.mark.parametrize(
    "settings",
    [{}, {"auto.register.schemas": False}, {"auto.register.schemas": False, "use.latest.version": True}],
    ids=["registers", "looks up", "takes the latest"],
)
def test_what_a_stock_serializer_writes_the_gateway_takes(
    gateway: Any, client: SchemaRegistryClient, settings: dict[str, Any]
) -> None:
    topic = gateway.prefix + "clickstream"
    serialize = AvroSerializer(client, CLICKSTREAM.text, conf=settings)
    value = serialize(click("from-outside"), SerializationContext(topic, MessageField.VALUE))
    assert value is not None
    assert value[:5] == b"\0" + CLICKSTREAM.id.to_bytes(4, "big")
    assert gateway.post(value, "application/avro").json()["accepted"] == 1
    (record, _, _) = gateway.records("clickstream")[0]
    assert record["event_id"] == "from-outside"


def test_what_a_stock_producer_puts_into_the_topic_itself_reads_like_the_gateways(
    gateway: Any, client: SchemaRegistryClient
) -> None:
    topic = gateway.prefix + "clickstream"
    serialize = AvroSerializer(client, REGISTRY.versions("clickstream")[0].text)
    sample = sample_records(REGISTRY.versions("clickstream")[0])[0]
    producer = Producer({"bootstrap.servers": gateway.bootstrap})
    producer.produce(topic, serialize(sample, SerializationContext(topic, MessageField.VALUE)))
    producer.flush(20)
    (record, _, _) = gateway.records("clickstream")[0]
    assert record == sample


def test_what_the_gateway_writes_a_stock_deserializer_reads(gateway: Any, client: SchemaRegistryClient) -> None:
    now = time.time_ns() // 1_000_000
    event = {"user_id": "u", "session_id": "s", "timestamp": now}
    sale = {"transaction_id": "t", "product_id": "p", "category": "c", "amount": "59.9", "quantity": 2,
            "payment_method": "card"}  # fmt: skip
    answer = gateway.client.post(
        "/v1/events",
        json=[{**event, "event_id": "e", "action": "view"}, {**event, **sale}, {**event, "event_id": "bad"}],
        headers={"authorization": f"Bearer {KEY}"},
    )
    assert answer.status_code == 207
    read = AvroDeserializer(client)
    found = {}
    for name in ("clickstream", "transactions", "rejected"):
        topic = gateway.prefix + name
        (value,) = gateway.values(name)
        found[name] = read(value, SerializationContext(topic, MessageField.VALUE))
    at = datetime.fromtimestamp(now / 1000, UTC)
    assert (found["clickstream"]["event_id"], found["clickstream"]["timestamp"]) == ("e", at)
    assert (found["transactions"]["amount"], found["transactions"]["kind"]) == (Decimal("59.9000"), "purchase")
    assert found["rejected"]["reason"] == "missing_field"


def test_a_reader_schema_of_the_clients_own_is_resolved(gateway: Any, client: SchemaRegistryClient) -> None:
    gateway.client.post("/v1/events", json={**click("e"), "timestamp": time.time_ns() // 1_000_000},
                        headers={"authorization": f"Bearer {KEY}"}).raise_for_status()  # fmt: skip
    narrow = (
        '{"type":"record","name":"Clickstream","namespace":"millrace","fields":[{"name":"event_id","type":"string"}]}'
    )
    topic = gateway.prefix + "clickstream"
    (value,) = gateway.values("clickstream")
    read = AvroDeserializer(client, narrow)
    assert read(value, SerializationContext(topic, MessageField.VALUE)) == {"event_id": "e"}


def test_the_client_reads_everything_and_changes_nothing(gateway: Any, client: SchemaRegistryClient) -> None:
    subject = f"{gateway.prefix}clickstream-value"
    schema = Schema(CLICKSTREAM.text, "AVRO")
    assert client.get_subjects(subject_prefix=gateway.prefix) == [
        f"{gateway.prefix}{name}-value" for name in ("clickstream", "rejected", "transactions")
    ]
    assert client.get_versions(subject) == [1, 2]
    assert client.get_latest_version(subject).schema_id == CLICKSTREAM.id
    assert client.get_version(subject, 1).schema_id == 1
    assert client.lookup_schema(subject, schema).version == 2
    assert client.register_schema(subject, schema) == CLICKSTREAM.id
    assert client.get_schema(CLICKSTREAM.id).schema_str == CLICKSTREAM.text
    assert client.get_subjects_by_schema_id(CLICKSTREAM.id) == [subject]
    assert [told.version for told in client.get_schema_versions(CLICKSTREAM.id)] == [2]
    assert client.get_schema_types() == ["AVRO"]
    assert client.get_referenced_by(subject, 2) == []
    assert client.get_compatibility() == "FULL_TRANSITIVE"
    assert client.get_config().compatibility_level == "FULL_TRANSITIVE"
    assert client.get_global_mode() == "READONLY"
    assert client.get_contexts() == ["."]
    assert client.test_compatibility(subject, schema)
    assert client.test_compatibility_all_versions(subject, schema)
    refused: list[tuple[Callable[[], Any], int]] = [
        (lambda: client.register_schema(subject, Schema('"string"', "AVRO")), 42205),
        (lambda: client.delete_subject(subject), 42205),
        (lambda: client.set_compatibility(subject, "NONE"), 42205),
        (lambda: client.update_global_mode("READWRITE"), 42205),
        (lambda: client.get_versions("nothing-value"), 40401),
        (lambda: client.get_schema(77), 40403),
        (lambda: client.get_compatibility(subject), 40408),
        (lambda: client.get_mode(subject), 40409),
    ]
    for ask, code in refused:
        with pytest.raises(SchemaRegistryError) as error:
            ask()
        assert error.value.error_code == code
    too_large = gateway.client.post(f"/registry/subjects/{subject}", content=b" " * 300_000)
    assert (too_large.status_code, too_large.json()["error_code"]) == (413, 413)
    assert gateway.client.post("/registry/subjects").json()["error_code"] == 405
    metrics = gateway.client.get("/metrics").text
    assert 'route="/registry/subjects/{subject}/versions/{version}"' in metrics
    assert subject not in metrics
