"""Cursors: opaque, one per session, and every byte checked on the way back."""

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.cursors import CURSOR, SESSION, SessionKey, decode, encode
from serving.errors import BadCursor

pytestmark = pytest.mark.unit

moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
ids = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=128)
KEY = SessionKey(datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), "s-1")


@given(moments, ids)
def test_a_cursor_names_exactly_its_session(started_at: datetime, session_id: str) -> None:
    key = SessionKey(started_at, session_id)
    assert decode(CURSOR, encode(CURSOR, key), "after") == key


def test_an_id_is_not_a_cursor() -> None:
    with pytest.raises(BadCursor, match="after"):
        decode(CURSOR, encode(SESSION, KEY), "after")


@given(st.text(max_size=60))
def test_made_up_text_is_a_typed_error_and_nothing_else(text: str) -> None:
    with pytest.raises(BadCursor):
        decode(CURSOR, text, "after")


@pytest.mark.parametrize(
    "text",
    [
        "",
        encode(CURSOR, KEY)[:8],
        encode(CURSOR, KEY) + "=",
        encode(CURSOR, KEY) + "\n",
        "A" * 100_000,
        base64.urlsafe_b64encode(b"c" + b"\x7f" + b"\xff" * 7 + b"s").decode(),
        base64.urlsafe_b64encode(b"c" + b"\x00" * 8 + b"s\x00").decode().rstrip("="),
        base64.urlsafe_b64encode(b"c" + b"\x00" * 8 + b"\xff\xff").decode().rstrip("="),
    ],
    ids=["empty", "short", "padded", "newline", "long", "year 300000", "nul", "not UTF-8"],
)
def test_a_damaged_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="start from the first page"):
        decode(CURSOR, text, "after")


@given(st.data())
def test_no_two_texts_name_one_session(data: st.DataObject) -> None:
    text = encode(CURSOR, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    other = text[:at] + data.draw(st.characters(codec="ascii")) + text[at + 1 :]
    if other == text:
        return
    with suppress(BadCursor):
        assert decode(CURSOR, other, "after") != KEY
