"""Payloads put together from templates decode to the events they were made of, and those can be made again."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from loadtest.facts import to_fact
from loadtest.load.payloads import Pool, _long
from loadtest.load.sent_log import Sent, SentLog, Supply, read_sent
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


def test_an_event_made_again_by_its_number_is_the_one_that_was_sent() -> None:
    pool = Pool(EVENTS, "r1")
    pool.json(150, NOW_MS)
    assert pool.position == 150
    sent = orjson.loads(pool.json(400, NOW_MS))
    assert [pool.event(number, NOW_MS) for number in range(150, 550)] == sent


def test_a_segment_body_has_the_calls_of_the_clicks_in_turn() -> None:
    clicks = [event for event in EVENTS if event["type"] == "clickstream"]
    pool = Pool(clicks, "r1")
    body = orjson.loads(pool.segment(len(clicks), NOW_MS))
    assert body["sentAt"] == "2023-11-14T22:13:20.123Z"
    for number, (click, call) in enumerate(zip(clicks, body["batch"], strict=True)):
        taken = pool.fact(number, NOW_MS, segment=True)
        assert (call["messageId"], call["userId"]) == (taken.event_id, click["user_id"])
        assert call["context"]["sessionId"] == taken.session_id
        assert call["timestamp"] == body["sentAt"]
        assert call["type"] == ("page" if click["action"] == "page_view" else "track")


def test_a_log_of_requests_gives_back_every_event_with_its_verdict_and_names_a_wrong_line(tmp_path: Path) -> None:
    supply = Supply(3, "r1", 200)
    log = SentLog(tmp_path / "sent.jsonl", supply)
    first = orjson.loads(supply.pools()[False].json(3, NOW_MS))
    log.write(Sent(False, 0, 3, NOW_MS, True))
    log.write(Sent(True, 0, 2, NOW_MS + 1, None))
    log.write(Sent(False, 3, 1, NOW_MS + 2, False))
    log.close()
    with (tmp_path / "sent.jsonl").open("a") as file:
        file.write('{"first":0}\n')
    reading = read_sent(tmp_path / "sent.jsonl")
    read = list(islice(reading, 6))
    assert [verdict for verdict, _ in read] == ["accepted"] * 3 + ["unknown"] * 2 + ["rejected"]
    assert [fact for _, fact in read][:3] == [to_fact(event) for event in first]
    assert all(fact.event_id.startswith("r1s-") for _, fact in read[3:5])
    assert read[5][1].at_ms == NOW_MS + 2

    with pytest.raises(ValueError, match=r"sent\.jsonl, line 5"):
        next(reading)


@given(st.integers(0, 2**62))
def test_a_number_is_encoded_as_avro_does(value: int) -> None:
    assert schemaless_reader(BytesIO(_long(value)), "long", None) == value
