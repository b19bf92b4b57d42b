"""The quick decoder and the careful one are of one mind about any bytes, and the usual ones are read quickly."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import quick_avro
from ingestion.decode_avro import Cursor, MalformedAvroError, make_decoder
from ingestion.encode import make_encoder
from ingestion.quick_avro import make_quick_decoder
from schemas_avro import RegisteredSchema, load_registry
from tests.ingestion.mutations import Mutator
from tests.ingestion.unit.test_encode import ANY_RECORD, in_order

pytestmark = pytest.mark.unit

SCHEMAS = load_registry().schemas
ENCODERS = {schema.id: make_encoder(schema) for schema in SCHEMAS}
CAREFUL = {schema.id: make_decoder(schema) for schema in SCHEMAS}
QUICK = {schema.id: make_quick_decoder(schema, dict, of="test") for schema in SCHEMAS}
NOW_MS = 1_772_366_400_000


def outcome(decode: Any, body: bytes, position: int = 0) -> Any:
    cursor = Cursor(body, position)
    try:
        return decode(cursor), cursor.position
    except MalformedAvroError as error:
        return str(error)


def assert_of_one_mind(schema: RegisteredSchema, body: bytes, position: int) -> None:
    wanted, found = outcome(CAREFUL[schema.id], body, position), outcome(QUICK[schema.id], body, position)
    if isinstance(wanted, tuple):
        wanted = ({"of": "test", **wanted[0]}, wanted[1])
    assert found == wanted


@settings(max_examples=300)
@given(ANY_RECORD, st.binary(max_size=3), st.integers(0, 9))
def test_any_record_and_any_beginning_of_it_are_read_alike(
    drawn: tuple[RegisteredSchema, dict[str, Any]], before: bytes, cut: int
) -> None:
    schema, record = drawn
    body = before + ENCODERS[schema.id](*in_order(schema, record))[5:]
    for end in {len(body), len(body) - cut, len(body) // 2, 0}:
        assert_of_one_mind(schema, body[: max(end, len(before))], len(before))


def test_damaged_records_are_read_alike_or_refused_with_the_same_words() -> None:
    by_id = {schema.id: schema for schema in SCHEMAS}
    outcomes = set()
    for body in Mutator(7, NOW_MS).avro_bodies(4000):
        if body[:1] == b"\0" and (schema := by_id.get(int.from_bytes(body[1:5], "big"))) is not None:
            assert_of_one_mind(schema, body, 5)
            outcomes.add(str(outcome(CAREFUL[schema.id], body, 5))[:20])
    assert len(outcomes) > 100


def test_what_clients_send_is_read_without_starting_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: RegisteredSchema) -> Any:
        return lambda _cursor: pytest.fail("started over")

    monkeypatch.setattr(quick_avro, "make_decoder", never)
    page, browser = "https://shop.example/" + "p" * 300, "Mozilla/5.0 " * 12
    usual: dict[str, list[Any]] = {
        "clickstream": ["e" * 20, "u", "s", None, "shoes", "view", NOW_MS, page, None, browser, "é", {"country": "US"}],
        "transactions": ["t", "u", "s", "p", "shoes", 599_000, 2, NOW_MS, "card", "o-1", "USD", "purchase"],
    }
    for schema in SCHEMAS:
        if schema.subject in usual:
            values = usual[schema.subject][: len(schema.definition["fields"])]
            body = ENCODERS[schema.id](*values)
            read = make_quick_decoder(schema, dict)(Cursor(body, 5))
            assert read["user_id"] == "u"
            assert read["timestamp"] == NOW_MS


@pytest.mark.parametrize("size", [0, 63, 64, 8191, 8192, 20_000, 1_100_000])
def test_texts_of_any_length_are_read_alike(size: int) -> None:
    (click,) = (schema for schema in SCHEMAS if (schema.subject, schema.version) == ("clickstream", 1))
    for page in ("p" * size, None):  # as the last text, a wrong length is not found out by what follows
        body = ENCODERS[click.id]("e", "u", "s", None, None, "view", NOW_MS, page, "r" * size)[5:]
        for end in (len(body), len(body) - 1):
            assert_of_one_mind(click, body[:end], 0)
