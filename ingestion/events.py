"""The event between decoding and validation: every field either subject has, each optional, types checked.

One wide struct instead of one per subject, because a body is decoded in one pass before `type` or the id field tells
which subject an event belongs to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from ingestion.errors import EventRefusedError


class Incoming(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An event as sent. None stands for absent and for null alike."""

    type: str | None = None
    event_id: str | None = None
    transaction_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    product_id: str | None = None
    category: str | None = None
    action: str | None = None
    timestamp: int | str | None = None
    """Epoch milliseconds or ISO 8601."""
    page_url: str | None = None
    referrer: str | None = None
    user_agent: str | None = None
    search_query: str | None = None
    properties: dict[str, Any] | None = None
    """Texts, numbers, booleans; numbers with a fraction already as their JSON text."""
    amount: Decimal | None = None
    quantity: int | None = None
    payment_method: str | None = None
    order_id: str | None = None
    currency: str | None = None
    kind: str | None = None


FIELDS: Final[tuple[str, ...]] = Incoming.__struct_fields__


Event = Incoming | tuple[Incoming, ...] | EventRefusedError
"""An event as an adapter read it. A tuple is one event of the client's that is several of ours, as an order is: all of
them are accepted, or it is refused as a whole."""


Admit = Callable[[str], None]
"""Takes the write key that body or query names, empty for none; the head's counts. Raises RequestRefusedError."""


@dataclass(frozen=True)
class Batch:
    """What an adapter read from one body, in order."""

    events: Sequence[Event]
    raw: Callable[[int], bytes]
    """The bytes of event i as received. Called for refused events only, so it may cost something."""
    schema_ids: Sequence[int | None] | None = None
    """Writer schemas, where the protocol names them."""
    pointer: Callable[[int, int, str], str | None] | None = None
    """Where the client's event has a field of ours: JSON Pointer by event, place in the tuple, our pointer."""
    anonymous: bool = False
    """Whether the client asks that nothing of its address be kept."""
    once: str | None = None
    """The `Idempotency-Key`, where the protocol has one."""
    historical: bool = False
    """Whether the body says that these are old events to be loaded; needs a key with the scope `import`."""
