"""A catalogue of bad events, each with the one reason the gateway has to give for it.

Each kind spoils a good event in a single place, so that a wrong or vague verdict shows.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from contracts.rejections import Reason

Body = dict[str, Any]

_YEAR_9000_MS: Final = 221_845_392_000_000


@dataclass(frozen=True)
class BadKind:
    """One way for an event to be wrong."""

    name: str
    reason: Reason
    spoil: Callable[[Body], Any]
    """Returns what is sent in place of the event; bytes are sent as a request body of their own."""
    only: str | None = None
    """The one `type` it applies to, None for both."""


def _with(**changes: Any) -> Callable[[Body], Body]:
    return lambda body: {**body, **changes}


def _without(*names: str) -> Callable[[Body], Body]:
    return lambda body: {name: value for name, value in body.items() if name not in names}


def _with_id(bad_id: str) -> Callable[[Body], Body]:
    return lambda body: {**body, id_field(body): bad_id}


def _cut(body: Body) -> bytes:
    return json.dumps(body).encode()[:-7]


def id_field(body: Body) -> str:
    """Name of the field that holds this event's id."""
    return "transaction_id" if body.get("type") == "transaction" or "transaction_id" in body else "event_id"


def _on_sale(name: str, reason: Reason, spoil: Callable[[Body], Any]) -> BadKind:
    return BadKind(name, reason, spoil, only="transaction")


KINDS: Final = (
    BadKind("json_cut_off", Reason.MALFORMED_JSON, _cut),
    BadKind("no_type_no_id", Reason.UNKNOWN_TYPE, _without("type", "event_id", "transaction_id")),
    BadKind("session_missing", Reason.MISSING_FIELD, _without("session_id")),
    BadKind("user_null", Reason.MISSING_FIELD, _with(user_id=None)),
    BadKind("session_number", Reason.WRONG_TYPE, _with(session_id=42)),
    BadKind("field_unknown", Reason.UNKNOWN_FIELD, _with(basket_colour="red")),
    BadKind("id_empty", Reason.INVALID_ID, _with_id("")),
    BadKind("id_129_characters", Reason.INVALID_ID, _with_id("x" * 129)),
    BadKind("user_with_nul", Reason.INVALID_ID, _with(user_id="a\0b")),
    BadKind("category_with_nul", Reason.INVALID_TEXT, _with(category="shoes\0")),
    BadKind("timestamp_word", Reason.INVALID_TIMESTAMP, _with(timestamp="yesterday")),
    BadKind("timestamp_year_10000", Reason.INVALID_TIMESTAMP, _with(timestamp=253_402_300_800_000)),
    BadKind("timestamp_year_9000", Reason.TIMESTAMP_IN_FUTURE, _with(timestamp=_YEAR_9000_MS)),
    _on_sale("amount_negative", Reason.INVALID_AMOUNT, _with(amount="-1.00")),
    _on_sale("amount_not_a_number", Reason.INVALID_AMOUNT, _with(amount="NaN")),
    _on_sale("amount_five_decimals", Reason.INVALID_AMOUNT, _with(amount="1.00001")),
    _on_sale("amount_fifteen_digits", Reason.INVALID_AMOUNT, _with(amount="100000000000000")),
    _on_sale("quantity_zero", Reason.INVALID_QUANTITY, _with(quantity=0)),
    _on_sale("quantity_million_and_one", Reason.INVALID_QUANTITY, _with(quantity=1_000_001)),
    _on_sale("currency_other", Reason.CURRENCY_NOT_ACCEPTED, _with(currency="XTS")),
    BadKind("action_unknown", Reason.INVALID_ENUM, _with(action="buy"), only="clickstream"),
    BadKind(
        "properties_65",
        Reason.TOO_MANY_PROPERTIES,
        lambda body: {**body, "properties": {f"p{n}": "v" for n in range(65)}},
        only="clickstream",
    ),
)
