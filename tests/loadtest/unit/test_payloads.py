"""Payloads put together from templates decode to the events they were made of."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from itertools import islice
from typing import Any

import orjson
import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from loadtest.payloads import Pool, _long
from loadtest.shop import Shop
from schemas_avro import load_registry

pytestmark = pytest.mark.unit

NOW_MS = 1_700_000_000_123
EVENTS = [event.stamped(0) for event in islice(Shop(4, transactions_share=0.2).events(100), 200)]
GIVEN_ANEW = {"event_id", "transaction_id", "session_id", "timestamp", "type"}


def _decoded(body: bytes) -> list[dict[str, Any]]:
    stream = BytesIO(body)
    records: list[Any] = []
    while head := stream.read(5):
        magic, schema_id = struct.unpack(">bI", head)
        schema = load_registry().by_id(schema_id)
        assert magic == 0
        assert schema is not None
        assert schema == load_registry().latest(schema.subject)
        records.append(schemaless_reader(stream, schema.parsed, None))
    return records


def test_avro_bodies_decode_to_the_events_of_the_pool_with_new_ids_sessions_and_times() -> None:
    records = _decoded(Pool(EVENTS, "r1").avro(400, NOW_MS))
    assert len(records) == 400
    for event, record in zip(EVENTS + EVENTS, records, strict=True):
        kept = {name: value for name, value in event.items() if name not in GIVEN_ANEW}
        if "amount" in kept:
            kept["amount"] = Decimal(kept["amount"])
        assert kept.items() <= record.items()
        assert record["timestamp"] == datetime.fromtimestamp(NOW_MS / 1000, UTC)
        assert record["session_id"].startswith(event["session_id"])


def test_json_bodies_are_the_events_of_the_pool_with_new_ids_sessions_and_times() -> None:
    bodies = orjson.loads(Pool(EVENTS, "r1").json(200, NOW_MS))
    for event, body in zip(EVENTS, bodies, strict=True):
        assert body.keys() == event.keys()
        assert all(body[name] == value for name, value in event.items() if name not in GIVEN_ANEW - {"type"})
        assert body["timestamp"] == NOW_MS


def test_a_single_json_event_is_an_object() -> None:
    assert isinstance(orjson.loads(Pool(EVENTS, "r1").json(1, NOW_MS)), dict)


def test_ids_are_unique_over_laps_encodings_and_processes() -> None:
    ids: list[str] = []
    for run in ("r1", "r2"):
        pool = Pool(EVENTS, run)
        for record in _decoded(pool.avro(500, NOW_MS)) + orjson.loads(pool.json(500, NOW_MS)):
            ids.append(record.get("event_id") or record["transaction_id"])
    assert len(set(ids)) == len(ids) == 2_000


def test_each_lap_has_sessions_of_its_own() -> None:
    records = _decoded(Pool(EVENTS, "r1").avro(400, NOW_MS))
    first, second = ({record["session_id"] for record in records[at : at + 200]} for at in (0, 200))
    assert not first & second
    assert len(first) == len({event["session_id"] for event in EVENTS})


@given(st.integers(0, 2**62))
def test_a_number_is_encoded_as_avro_does(value: int) -> None:
    assert schemaless_reader(BytesIO(_long(value)), "long", None) == value
