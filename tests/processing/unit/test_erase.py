"""What of an erasure needs no parts: who is named in a payload, which cells are touched, how receipts add up."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from contracts.people import hash_of
from contracts.settings import ShopSettings
from contracts.topics import ALL, TALLIES
from processing.erase import scopes
from processing.erase.payloads import is_theirs
from processing.erase.receipt import added, copies_until
from processing.erased import ids_in
from processing.projections import build_projections
from tests.processing.builders import click, framed, sale

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b'{"user_id":"u1","session_id":"s1"}', {"u1"}),
        (b'{"userId": "u1", "context": {"x": [{"anonymousId": "a\\u00fc"}]}}', {"u1", "a\u00fc"}),
        (b'{"user_id": 17}', {"17"}),
        (b'{"user_id": "torn", "session_', {"torn"}),
        (b'{"user_id": "t\\"orn", "x', {'t"orn'}),
        (b'{"note": "u1"}', set()),
        (b"\x00\x01\x02", set()),
        (b"", set()),
    ],
)
def test_ids_are_read_off_the_members_that_name_a_person(raw: bytes, named: set[str]) -> None:
    assert ids_in(raw) == named


def test_a_person_is_found_in_avro_by_the_whole_text_only() -> None:
    assert is_theirs(framed(click(user_id="user-1")), "user-1")
    assert is_theirs(framed(sale(user_id="ü" * 64))[:-3], "ü" * 64)
    assert not is_theirs(framed(click(user_id="user-12")), "user-1")
    assert not is_theirs(framed(click(user_id="a user-1")), "user-1")


def test_a_person_in_another_member_of_json_is_not_taken_for_the_sender() -> None:
    assert not is_theirs(json.dumps({"user_id": "u2", "note": "u1"}).encode(), "u1")
    assert is_theirs(json.dumps([{"user_id": "u2"}, {"user_id": "u1"}]).encode(), "u1")


def test_a_projection_without_a_scope_is_refused() -> None:
    projections = build_projections(ShopSettings())
    first = projections[0]
    table = first.table.to_metadata(first.table.metadata.__class__(), name="unheard_of")
    with pytest.raises(ValueError, match="unheard_of"):
        scopes.check([type(first)(table, first.delta, first.fold)])
    scopes.check(projections)


def test_minutes_that_were_dropped_widen_to_their_hours() -> None:
    touched: scopes.Touched = {"minutes": [59, 60, 125], "arrivals": [61], "sessions": ["s"], "person": ["u"]}
    wider = scopes.whole_hours(touched, {"minutes": {0, 1, 7}})
    assert wider["minutes"] == [*range(120), 125]
    assert {name: wider[name] for name in ("arrivals", "sessions", "person")} == {
        name: touched[name] for name in ("arrivals", "sessions", "person")
    }
    assert scopes.whole_hours(touched, {}) == touched


def test_cells_of_several_parts_are_united() -> None:
    one: scopes.Touched = {"minutes": [2, 1], "person": ["u"]}
    other: scopes.Touched = {"minutes": [3, 1], "sessions": ["s"]}
    assert scopes.united(one, other) == {"minutes": [1, 2, 3], "arrivals": [], "sessions": ["s"], "person": ["u"]}


def test_minutes_become_instants() -> None:
    assert scopes.cells(scopes.MINUTES, {"minutes": [1]}).to_pylist() == [datetime(1970, 1, 1, 0, 1, tzinfo=UTC)]
    assert scopes.cells(scopes.SESSIONS, {"sessions": []}).type == pa.string()


def test_receipts_of_two_runs_add_up() -> None:
    before = {"events": 3, "epoch": "7", "rows": {"users": 1, "orders": 2}}
    more = {"events": 0, "epoch": "9", "rows": {"users": 0, "sessions": 4}}
    assert added(before, more) == {"events": 3, "epoch": "9", "rows": {"users": 1, "orders": 2, "sessions": 4}}


def test_a_receipt_says_until_when_each_topic_may_hold_copies() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    until = copies_until(now, 3600)
    assert f"kafka topic {TALLIES.name}" not in until  # nothing of anybody is in it
    for topic in (topic for topic in ALL if topic is not TALLIES):
        left = datetime.fromisoformat(until[f"kafka topic {topic.name}"]) - now
        assert left == timedelta(milliseconds=topic.retention_ms)
    assert "backups" in until


def test_a_hash_depends_on_the_id_alone() -> None:
    assert hash_of("u1") == hash_of("u1") != hash_of("u2")
    assert len(hash_of("")) == 32
