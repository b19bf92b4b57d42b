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
    ALERTS,
    ANOMALIES,
    ARRIVALS,
    DUPLICATES,
    EPOCHS,
    QUARANTINE,
    REJECTIONS,
    REPORT_DAYS,
    REQUESTS,
    SESSION,
    SESSIONS_BY_START,
    USERS_BY_EVENTS,
    USERS_BY_LAST_SEEN,
    USERS_BY_REVENUE,
    VERIFICATIONS,
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
wholes = st.integers(-(2**63), 2**63 - 1)
words = st.from_regex(r"[a-z0-9_]{1,40}", fullmatch=True)
places = st.tuples(st.from_regex(r"[a-z]{1,40}", fullmatch=True), st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
flags = st.tuples(moments, words, words, words, st.one_of(ids, st.just(""), st.just("a/b//")))
NAMINGS: dict[str, tuple[Naming[Any], st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "sessions": (SESSIONS_BY_START, moments, ids),
    "session": (SESSION, moments, ids),
    "users by last seen": (USERS_BY_LAST_SEEN, moments, ids),
    "users by events": (USERS_BY_EVENTS, wholes, ids),
    "users by revenue": (USERS_BY_REVENUE, money, ids),
    "arrivals": (ARRIVALS, wholes, places),
    "rejections": (REJECTIONS, moments, places),
    "quarantine": (QUARANTINE, moments, places),
    "duplicates": (DUPLICATES, wholes, places),
    "alerts": (ALERTS, moments, st.integers(0, 10**18 - 1)),
    "anomalies": (ANOMALIES, moments, flags),
    "epochs": (EPOCHS, wholes, st.just(())),
    "requests": (REQUESTS, wholes, st.just(())),
    "verifications": (VERIFICATIONS, wholes, st.just(())),
    "report days": (REPORT_DAYS, st.dates().map(str), st.just(())),
}


@pytest.mark.parametrize("kind", NAMINGS)
@given(st.data())
def test_a_cursor_names_exactly_its_row(kind: str, data: st.DataObject) -> None:
    naming, values, row_ids = NAMINGS[kind]
    key = Key(data.draw(values), data.draw(row_ids))
    assert naming.decode(naming.encode(key), "after") == key


@pytest.mark.parametrize("kind", NAMINGS)
@given(st.data())
def test_a_name_of_another_kind_is_not_a_cursor(kind: str, data: st.DataObject) -> None:
    naming, values, row_ids = NAMINGS[kind]
    name = naming.encode(Key(data.draw(values), data.draw(row_ids)))
    for other in (each for each, *_ in NAMINGS.values() if each is not naming):
        with pytest.raises(BadCursor, match="after: not one that belongs here"):
            other.decode(name, "after")


def test_no_two_kinds_have_one_mark() -> None:
    assert len({naming.kind for naming, *_ in NAMINGS.values()}) == len(NAMINGS)


@pytest.mark.parametrize(
    "row_id",
    ["", "clicks", "clicks/0", "clicks/0/x", "clicks/-1/5", "Clicks/0/1", "clicks/0/1/2", "clicks/00/1"],
)
def test_what_is_no_place_in_kafka_is_refused(row_id: str) -> None:
    name = base64.urlsafe_b64encode(ARRIVALS.kind + (7).to_bytes(8, "big") + row_id.encode()).decode().rstrip("=")
    with pytest.raises(BadCursor, match="start from the first page"):
        ARRIVALS.decode(name, "after")


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
