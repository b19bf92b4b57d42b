"""Grace mode of a key: a clickstream event whose only faults are lenient ones is mended, marked and accepted.

It is for rolling out a new schema: producers may run ahead of the gateway, and nothing of theirs is lost meanwhile.

| fault | mended by |
|---|---|
| `unknown_field` | its value moves to the property of the same name, if there is none |
| `invalid_enum` of `action` | `other`; the original is kept in the property `_millrace_action` |
| `wrong_type` of a property | its JSON text |
| `invalid_text`, too long, of a page, referrer, user agent, search or property | cut to the limit |
| `timestamp_too_old` | nothing; it is accepted, and labelled late like any other late event |

The property `_millrace_fault` names every fault and its place. All else is refused as without grace: ids and the user
cannot be guessed, a category is a key of sums, a time ahead would push the watermark, a NUL cannot be stored. Money is
never mended, and a transaction has no properties to mark it with. What was mended passes the same checks as any event.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from contracts.rejections import Reason
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming
from ingestion.reread import reread_loosely
from ingestion.validate import Record, Validator
from ingestion.values import MAX_PROPERTY_VALUE, MAX_TEXT

FAULT: Final = "_millrace_fault"
ACTION: Final = "_millrace_action"
_CUT: Final = frozenset({"page_url", "referrer", "user_agent", "search_query"})
_MAX_MENDS: Final = 100
_MAX_MARK: Final = 1024
_MAX_ACTION: Final = 128


class Mended(NamedTuple):
    """A record that is as good as any, and what was wrong with its event."""

    record: Record
    reasons: frozenset[Reason]


class Grace:
    """Mends events. Made once per worker."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    def mend(
        self,
        event: Incoming | EventRefusedError,
        refused: EventRefusedError,
        raw: Callable[[], bytes] | None,
        now_ms: int,
        *,
        imported: bool,
    ) -> Mended | None:
        """The record of an event that was refused, or None if it has to stay so.

        `raw` gives the event's bytes where these are JSON of the schemas' own shape, else it is None.
        """
        faults: list[tuple[Reason, str]] = []
        if _needs_raw(refused):
            reread = None if raw is None else reread_loosely(raw())
            if reread is None:
                return None
            event, faults = reread
        if isinstance(event, EventRefusedError) or not _is_clickstream(event):
            return None
        for _ in range(_MAX_MENDS):
            if faults:
                event.properties = {**(event.properties or {}), FAULT: _mark(faults)}
            too_old = any(reason is Reason.TIMESTAMP_TOO_OLD for reason, _ in faults)
            try:
                record = self._validator.check(event, now_ms, imported=imported or too_old)
            except EventRefusedError as fault:
                if not _mend_one(event, fault):
                    return None
                faults.append((fault.reason, fault.pointer))
            else:
                return Mended(record, frozenset(reason for reason, _ in faults))
        return None


def _needs_raw(refused: EventRefusedError) -> bool:
    """Whether what is wrong cannot be seen in the decoded event, or is no longer as it was sent."""
    nested = refused.reason is Reason.WRONG_TYPE and refused.pointer.startswith("/properties/")
    return nested or refused.reason is Reason.UNKNOWN_FIELD


def _is_clickstream(event: Incoming) -> bool:
    if event.type is None:
        return event.event_id is not None and event.transaction_id is None
    return event.type == "clickstream"


def _mend_one(event: Incoming, fault: EventRefusedError) -> bool:
    """Mend one fault in place; False if it is not a lenient one."""
    field = fault.pointer.removeprefix("/")
    match fault.reason:
        case Reason.TIMESTAMP_TOO_OLD:
            return True
        case Reason.UNKNOWN_FIELD:
            return _move(event, field)
        case Reason.INVALID_ENUM if field == "action" and event.action is not None:
            event.properties = {**(event.properties or {}), ACTION: event.action[:_MAX_ACTION]}
            event.action = "other"
            return True
        case Reason.INVALID_TEXT if field in _CUT:
            return _cut(event, field)
        case Reason.INVALID_TEXT if field.startswith("properties/"):
            return _cut_properties(event)
    return False


def _move(event: Incoming, field: str) -> bool:
    """A field of transactions becomes a property."""
    if field in (event.properties or {}):
        return False
    event.properties = {**(event.properties or {}), field: str(getattr(event, field))}
    setattr(event, field, None)
    return True


def _cut(event: Incoming, field: str) -> bool:
    value: str = getattr(event, field)
    setattr(event, field, value[: MAX_TEXT[field]])
    return len(value) > MAX_TEXT[field]


def _cut_properties(event: Incoming) -> bool:
    cut = {
        name: value[:MAX_PROPERTY_VALUE] if isinstance(value, str) else value
        for name, value in (event.properties or {}).items()
    }
    changed = cut != event.properties
    event.properties = cut
    return changed


def _mark(faults: list[tuple[Reason, str]]) -> str:
    told = " ".join(f"{reason}:{pointer}" for reason, pointer in faults)
    return told if len(told) <= _MAX_MARK else told[:_MAX_MARK].rpartition(" ")[0] + " …"
