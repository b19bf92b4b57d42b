"""Why an event can be refused: the one table of reasons.

Every verdict of the gateway and every quarantine in processing uses a code of this table; the codes are stable and
part of the API. `docs/rejections.md` is generated from it and from the table of problems, which are about whole
requests: `python -m contracts.rejections > docs/rejections.md`.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contracts.problems import HANDLING


class Reason(StrEnum):
    """Stable reason codes, per event."""

    MALFORMED_JSON = "malformed_json"
    MALFORMED_AVRO = "malformed_avro"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNKNOWN_TYPE = "unknown_type"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_ID = "invalid_id"
    INVALID_TEXT = "invalid_text"
    INVALID_ENUM = "invalid_enum"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    INVALID_AMOUNT = "invalid_amount"
    INVALID_QUANTITY = "invalid_quantity"
    CURRENCY_NOT_ACCEPTED = "currency_not_accepted"
    TOO_MANY_PROPERTIES = "too_many_properties"
    EVENT_TOO_LARGE = "event_too_large"
    USER_ERASED = "user_erased"


@dataclass(frozen=True)
class Explanation:
    """What a reason means and what the sender can do."""

    meaning: str
    remedy: str
    retry: bool = False
    """Whether the very same event may be accepted later."""


TABLE: Final[dict[Reason, Explanation]] = {
    Reason.MALFORMED_JSON: Explanation("The event is not valid JSON (RFC 8259).", "Fix the producer."),
    Reason.MALFORMED_AVRO: Explanation(
        "The bytes do not decode under their writer schema, or bytes are left over.", "Fix the producer."
    ),
    Reason.UNKNOWN_SCHEMA: Explanation(
        "The schema id or fingerprint is not registered, or is not an event's.", "Register the schema first."
    ),
    Reason.UNKNOWN_TYPE: Explanation(
        "Neither `type` nor one id field says whether this is clickstream or a transaction.",
        "Send `type`, `event_id` or `transaction_id`.",
    ),
    Reason.MISSING_FIELD: Explanation("A required field is absent or null.", "Send the field."),
    Reason.WRONG_TYPE: Explanation("A value has another JSON type than its field.", "Send the field's type."),
    Reason.UNKNOWN_FIELD: Explanation(
        "A field that the schema does not have; it would be lost.",
        "Use `properties`, or a newer schema version.",
    ),
    Reason.INVALID_ID: Explanation("An id is not 1-128 printable characters.", "Send such an id."),
    Reason.INVALID_TEXT: Explanation(
        "A text is longer than its limit, has a NUL or is not valid Unicode.", "Shorten or clean the text."
    ),
    Reason.INVALID_ENUM: Explanation("A value is not one of the field's symbols.", "Send one of the symbols."),
    Reason.INVALID_TIMESTAMP: Explanation(
        "The timestamp is neither ISO 8601 nor epoch milliseconds, or outside the years 1970-9999.",
        "Send either form.",
    ),
    Reason.TIMESTAMP_IN_FUTURE: Explanation(
        "The timestamp is further ahead of the gateway's clock than the tolerance.",
        "Set the client's clock.",
        retry=True,
    ),
    Reason.TIMESTAMP_TOO_OLD: Explanation(
        "The timestamp is older than the gateway takes from live traffic.",
        "Send history with the import flag.",
    ),
    Reason.INVALID_AMOUNT: Explanation(
        "The amount is negative, not finite, or has more than 14 digits before or 4 after the point.",
        "Send a decimal in that range, best as a string.",
    ),
    Reason.INVALID_QUANTITY: Explanation("The quantity is not a whole number from 1 to 1,000,000.", "Send one."),
    Reason.CURRENCY_NOT_ACCEPTED: Explanation(
        "The currency is not the one this stack counts in.", "Convert before sending, or run a stack for it."
    ),
    Reason.TOO_MANY_PROPERTIES: Explanation("More than 64 properties.", "Send fewer."),
    Reason.EVENT_TOO_LARGE: Explanation("The event is larger than the limit for one event.", "Send less."),
    Reason.USER_ERASED: Explanation(
        "The user was erased on request. The gateway does not know; the event is counted and nothing of it is kept.",
        "Stop sending, or use another id for a new consent.",
    ),
}


def markdown() -> str:
    """The table as a page of the documentation."""
    reasons = [
        f"| `{reason}` | {told.meaning} | {told.remedy} | {_yes_or_no(told.retry)} |" for reason, told in TABLE.items()
    ]
    problems = [
        f"| {told.status} | `{code}` | {told.title}. | {told.remedy} | {_yes_or_no(told.retry)} |"
        for code, told in HANDLING.items()
    ]
    lines = [
        "# Why events and requests are refused",
        "",
        "Generated from `contracts/rejections.py` and `contracts/problems.py`. The codes are stable. *Again* says "
        "whether sending the very same later can succeed.",
        "",
        "## An event",
        "",
        "It has its verdict in the answer, which is 207 if other events of the request were accepted and 422 if none "
        "was (200 where a protocol's clients expect that), and is kept, whole up to a limit, in the topic `rejected`.",
        "",
        "| code | meaning | what to do | again |",
        "|---|---|---|---|",
        *reasons,
        "",
        "## A whole request",
        "",
        "The answer is a problem document (RFC 9457) with this status and `code`; nothing of the request was accepted.",
        "",
        "| status | code | meaning | what to do | again |",
        "|---|---|---|---|---|",
        *problems,
    ]
    return "\n".join(lines) + "\n"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    sys.stdout.write(markdown())
