"""Records made ahead are, with their time put in, what a plain Avro writer makes of the event."""

import io
from itertools import islice
from typing import Any

import fastavro
import pytest

from loadtest.records import RecordMaker
from loadtest.shop import Shop
from schemas_avro import load_registry

pytestmark = pytest.mark.unit

START_MS = 1_795_788_597_106


def test_a_record_decodes_to_its_event_at_the_time_put_in() -> None:
    registry = load_registry()
    maker = RecordMaker(registry)
    for event in islice(Shop(1, products=30, regulars=30).events(100), 300):
        waiting = maker.make(event)
        value = waiting.value(START_MS)
        schema = registry.by_id(int.from_bytes(value[1:5], "big"))
        assert schema is not None
        read: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema.parsed, None)
        assert round(read["timestamp"].timestamp() * 1000) == START_MS + event.at_ms
        assert read["user_id"].encode() == waiting.key
        told = {name: found for name, found in event.body.items() if name in {"event_id", "transaction_id", "action"}}
        assert {name: read[name] for name in told} == told
