"""Is this event acceptable, and what is its record? What depends on the event as a whole, the clock and the shop.

An event too far ahead would push the watermark past real traffic; money in another currency cannot be added up.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contracts.rejections import Reason
from contracts.topics import CLICKSTREAM, TRANSACTIONS
from ingestion import values
from ingestion.encode import Check, make_encoder
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming
from schemas_avro import Registry


class Record(msgspec.Struct, frozen=True, gc=False):
    """An accepted event as it goes to the broker."""

    topic: str
    key: bytes | None
    value: bytes
    event_id: str


@dataclass(frozen=True)
class Rules:
    """What depends on settings."""

    currency: str
    future_tolerance_ms: int
    max_age_ms: int


class Validator:
    """Checks events and encodes the good ones with the latest schema versions. Made once at start."""

    def __init__(self, rules: Rules, registry: Registry) -> None:
        self._rules = rules
        self._now_ms = self._from_ms = self._to_ms = -1
        clickstream, transactions = registry.latest("clickstream"), registry.latest("transactions")
        actions, kinds = _symbols(clickstream.definition, "action"), _symbols(transactions.definition, "kind")
        ids = {name: values.id_check(name) for name in ("session_id", "order_id")}
        ids["product_id"] = values.id_check("product_id", repeats=True)
        texts = {name: values.text_check(name) for name in values.MAX_TEXT}
        required = {name: values.required_text_check(name) for name in ("category", "payment_method")}
        self.checks: dict[str, dict[str, Check]] = {
            clickstream.subject: {
                **ids, **texts, "action": values.symbol_check("action", actions), "properties": values.PROPERTIES_CHECK,
            },
            transactions.subject: {
                **ids, **texts, **required, "kind": values.symbol_check("kind", kinds), "amount": Check(values.amount),
                "quantity": Check(values.quantity), "currency": Check(self._currency, repeats=True),
            },
        }  # fmt: skip
        """By subject and field, what the encoders check; ids of events and users, and times, are checked before."""
        self._encode_clickstream = make_encoder(clickstream, self.checks[clickstream.subject])
        self._encode_transaction = make_encoder(transactions, self.checks[transactions.subject])

    def check(self, event: Incoming, now_ms: int, *, imported: bool) -> Record:
        """The record of an event, received at `now_ms` (epoch milliseconds). Raises EventRefusedError."""
        if now_ms != self._now_ms:
            self._now_ms = now_ms
            self._from_ms = max(0, now_ms - self._rules.max_age_ms)
            self._to_ms = min(values.MAX_TIMESTAMP_MS, now_ms + self._rules.future_tolerance_ms)
        kind = event.type
        if kind is None:
            if (event.event_id is None) != (event.transaction_id is None):
                kind = "clickstream" if event.transaction_id is None else "transaction"
            else:
                raise EventRefusedError(
                    Reason.UNKNOWN_TYPE, "", "Exactly one of event_id, transaction_id must tell the type."
                )
        if kind == "clickstream":
            return self._clickstream(event, now_ms, imported)
        if kind == "transaction":
            return self._transaction(event, now_ms, imported)
        raise EventRefusedError(Reason.UNKNOWN_TYPE, "/type", "The type is clickstream or transaction.", id_of(event))

    def _clickstream(self, event: Incoming, now_ms: int, imported: bool) -> Record:
        event_id = values.checked_id("event_id", event.event_id)
        try:
            if (
                event.transaction_id is not None or event.amount is not None or event.quantity is not None
                or event.payment_method is not None or event.order_id is not None or event.currency is not None
                or event.kind is not None
            ):  # fmt: skip
                raise _foreign(event, _TRANSACTION_ONLY, "clickstream")
            user_id = values.checked_id("user_id", event.user_id)
            at = event.timestamp
            if at.__class__ is not int or not self._from_ms <= at <= self._to_ms:
                at = self._timestamp(at, now_ms, imported)
            value = self._encode_clickstream(
                event_id,
                user_id,
                event.session_id,
                event.product_id,
                event.category,
                event.action,
                at,
                event.page_url,
                event.referrer,
                event.user_agent,
                event.search_query,
                event.properties,
            )
        except EventRefusedError as refused:
            refused.event_id = event_id
            raise
        return Record(CLICKSTREAM.name, user_id.encode(), value, event_id)

    def _transaction(self, event: Incoming, now_ms: int, imported: bool) -> Record:
        event_id = values.checked_id("transaction_id", event.transaction_id)
        try:
            if (
                event.event_id is not None or event.action is not None or event.page_url is not None
                or event.referrer is not None or event.user_agent is not None or event.search_query is not None
                or event.properties is not None
            ):  # fmt: skip
                raise _foreign(event, _CLICKSTREAM_ONLY, "transaction")
            user_id = values.checked_id("user_id", event.user_id)
            at = event.timestamp
            if at.__class__ is not int or not self._from_ms <= at <= self._to_ms:
                at = self._timestamp(at, now_ms, imported)
            value = self._encode_transaction(
                event_id,
                user_id,
                event.session_id,
                event.product_id,
                event.category,
                event.amount,
                event.quantity,
                at,
                event.payment_method,
                event.order_id,
                event.currency,
                "purchase" if event.kind is None else event.kind,
            )
        except EventRefusedError as refused:
            refused.event_id = event_id
            raise
        return Record(TRANSACTIONS.name, user_id.encode(), value, event_id)

    def _timestamp(self, value: int | str | None, now_ms: int, imported: bool) -> int:
        if value is None:
            raise values.missing("timestamp")
        at = value if isinstance(value, int) else values.parse_iso_8601(value)
        if at is None or not 0 <= at <= values.MAX_TIMESTAMP_MS:
            raise EventRefusedError(
                Reason.INVALID_TIMESTAMP, "/timestamp", "ISO 8601 or epoch milliseconds, within 1970-9999."
            )
        if at > now_ms + self._rules.future_tolerance_ms:
            ahead = (at - now_ms) // 1000
            raise EventRefusedError(
                Reason.TIMESTAMP_IN_FUTURE, "/timestamp", f"{ahead} s ahead of the gateway's clock."
            )
        if at < now_ms - self._rules.max_age_ms and not imported:
            days = self._rules.max_age_ms / 86_400_000
            stated = values.iso_8601(at)
            raise EventRefusedError(Reason.TIMESTAMP_TOO_OLD, "/timestamp", f"{stated} is more than {days:g} days ago.")
        return at

    def _currency(self, value: str | None) -> str:
        if value is None or value == self._rules.currency:
            return self._rules.currency
        raise EventRefusedError(
            Reason.CURRENCY_NOT_ACCEPTED, "/currency", f"This stack counts in {self._rules.currency} only."
        )


_TRANSACTION_ONLY: Final = (
    "transaction_id", "amount", "quantity", "payment_method", "order_id", "currency", "kind",
)  # fmt: skip
_CLICKSTREAM_ONLY: Final = (
    "event_id", "action", "page_url", "referrer", "user_agent", "search_query", "properties",
)  # fmt: skip


def id_of(event: Incoming) -> str | None:
    """The id an event carries, if it is short enough to be quoted in an answer."""
    found = event.event_id or event.transaction_id
    return found if found is not None and len(found) <= values.MAX_ID else None


def _foreign(event: Incoming, fields: tuple[str, ...], kind: str) -> EventRefusedError:
    field = next(name for name in fields if getattr(event, name) is not None)
    return EventRefusedError(Reason.UNKNOWN_FIELD, f"/{field}", f"A {kind} event has no {field}.")


def _symbols(definition: dict[str, Any], field: str) -> frozenset[str]:
    types = {entry["name"]: entry["type"] for entry in definition["fields"]}
    return frozenset(types[field]["symbols"])
