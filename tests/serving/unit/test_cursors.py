"""Cursors: opaque, one per row, and every byte checked on the way back."""

import base64
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.cursors import (
    SESSION,
    SESSIONS_BY_START,
    USERS_BY_EVENTS,
    USERS_BY_LAST_SEEN,
    USERS_BY_REVENUE,
    Key,
    Naming,
)
from serving.errors import BadCursor

pytestmark = pytest.mark.unit

moments = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
money = st.integers(-(10**37), 10**37).map(lambda number: Decimal(f"{number}E-4"))
ids = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=128)
KEY = Key(datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), "s-1")
NAME = SESSIONS_BY_START.encode(KEY)
NAMINGS: dict[str, tuple[Naming[Any], st.SearchStrategy[Any]]] = {
    "sessions": (SESSIONS_BY_START, moments),
    "session": (SESSION, moments),
    "users by last seen": (USERS_BY_LAST_SEEN, moments),
    "users by events": (USERS_BY_EVENTS, st.integers(-(2**63), 2**63 - 1)),
    "users by revenue": (USERS_BY_REVENUE, money),
}


@pytest.mark.parametrize("kind", NAMINGS)
@given(st.data(), ids)
def test_a_cursor_names_exactly_its_row(kind: str, data: st.DataObject, row_id: str) -> None:
    naming, values = NAMINGS[kind]
    key = Key(data.draw(values), row_id)
    assert naming.decode(naming.encode(key), "after") == key


@pytest.mark.parametrize("kind", [kind for kind in NAMINGS if kind != "sessions"])
def test_a_name_of_another_kind_is_not_a_cursor(kind: str) -> None:
    naming, _ = NAMINGS[kind]
    value: Any = (
        KEY.value if naming in (SESSION, USERS_BY_LAST_SEEN) else 7 if naming is USERS_BY_EVENTS else Decimal(7)
    )
    with pytest.raises(BadCursor, match="after: not one that belongs here"):
        SESSIONS_BY_START.decode(naming.encode(Key(value, "x" * 40)), "after")


@pytest.mark.parametrize("kind", NAMINGS)
@given(st.text(max_size=60))
def test_made_up_text_is_a_typed_error_and_nothing_else(kind: str, text: str) -> None:
    with pytest.raises(BadCursor):
        NAMINGS[kind][0].decode(text, "after")


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME[:8],
        NAME + "=",
        NAME + "\n",
        "A" * 100_000,
        base64.urlsafe_b64encode(b"c" + b"\x7f" + b"\xff" * 7 + b"s").decode(),
        base64.urlsafe_b64encode(b"c" + b"\x00" * 8 + b"s\x00").decode().rstrip("="),
        base64.urlsafe_b64encode(b"c" + b"\x00" * 8 + b"\xff\xff").decode().rstrip("="),
    ],
    ids=["empty", "short", "padded", "newline", "long", "year 300000", "nul", "not UTF-8"],
)
def test_a_damaged_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="start from the first page"):
        SESSIONS_BY_START.decode(text, "after")


@given(st.data())
def test_no_two_texts_name_one_session(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(NAME) - 1))
    other = NAME[:at] + data.draw(st.characters(codec="ascii")) + NAME[at + 1 :]
    if other == NAME:
        return
    with suppress(BadCursor):
        assert SESSIONS_BY_START.decode(other, "after") != KEY
