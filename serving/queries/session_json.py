"""How the database writes sessions."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Float, LargeBinary, Text, bindparam, case, cast, func, literal

from contracts.projections import sessions
from serving.cursors import SESSION
from serving.queries.json import (
    COUNTS,
    Read,
    Selection,
    Writer,
    Writers,
    an_object,
    constant,
    decimal,
    field,
    flag,
    instant,
    length,
    or_null,
    quoted,
    text,
    whole,
)
from serving.queries.measures import given_moment


@lru_cache(64)
def session_json(chosen: Selection) -> ColumnElement[str]:
    """These fields of a session, under the name `json`. Takes the parameters `ended_by` and `currency`."""
    return an_object(chosen, SESSION_JSON, lambda name: sessions.c[name]).label("json")


def _id(read: Read) -> ColumnElement[str]:
    """The name that `SESSION` gives: base64url of its kind, the start in microseconds and the session id."""
    micros = cast(func.extract("epoch", read("started_at")) * 1_000_000, BigInteger)
    kind, own = literal(SESSION.kind, LargeBinary), func.convert_to(read("session_id"), "UTF8")
    name = kind.concat(func.int8send(micros)).concat(own)
    return quoted(func.translate(func.encode(name, "base64"), "+/=\n", "-_", type_=Text))


def _maybe(write: Callable[[ColumnElement[Any]], ColumnElement[str]], column: str) -> Writer:
    return lambda read: or_null(write(read(column)))


def _known(column: str) -> Writer:
    """A text that is empty where nothing is known."""
    return lambda read: or_null(text(func.nullif(read(column), "")))


def _status(ended_at: ColumnElement[Any]) -> ColumnElement[str]:
    return case((ended_at <= given_moment("ended_by"), constant("COMPLETED")), else_=constant("ACTIVE"))


SESSION_JSON: Final[Writers] = {
    "__typename": lambda _: constant("Session"),
    "id": _id,
    "sessionId": field(text, "session_id"),
    "userId": field(text, "user_id"),
    "startedAt": field(instant, "started_at"),
    "endedAt": field(instant, "ended_at"),
    "duration": lambda read: length(read("ended_at") - read("started_at")),
    "durationSeconds": lambda read: cast(
        cast(func.extract("epoch", read("ended_at") - read("started_at")), Float), Text
    ),
    "status": lambda read: case(
        (read("ended_at") <= given_moment("ended_by"), constant("COMPLETED")), else_=constant("ACTIVE")
    ),
    **COUNTS,
    "events": field(whole, "events"),
    "revenue": field(decimal, "revenue"),
    "currency": lambda _: text(bindparam("currency", type_=Text)),
    "entryPage": _maybe(text, "entry_page"),
    "exitPage": _maybe(text, "exit_page"),
    "bounced": lambda read: flag(read("events") == 1),
    "converted": lambda read: flag(read("purchases") > 0),
    "category": _known("category"),
    "device": _known("device"),
    "browser": _known("browser"),
    "os": _known("os"),
    "medium": _known("medium"),
    "referrerSource": _known("referrer_source"),
    "campaignSource": _known("campaign_source"),
    "campaign": _known("campaign"),
    "bot": field(flag, "bot"),
    "botScore": field(whole, "bot_score"),
    "botReason": _maybe(text, "bot_reason"),
    "viewedAt": _maybe(instant, "viewed_at"),
    "addedAt": _maybe(instant, "added_at"),
    "checkoutAt": _maybe(instant, "checkout_at"),
    "purchasedAt": _maybe(instant, "purchased_at"),
    "lateEvents": field(whole, "late"),
    "revision": field(whole, "late"),
}
"""All fields but those that take more: the path and the commit."""
