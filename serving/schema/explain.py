"""Root about one event: what became of it, and where it counts."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument
from serving.queries import ResultRow
from serving.queries.explain import conversion_of, copies
from serving.queries.logged import applied
from serving.queries.sessions import session_of_event
from serving.schema.context import Info
from serving.schema.logged_event import LoggedEvent, logged
from serving.schema.scalars import Long
from serving.schema.sessions import Session, Step, session_of

_LONGEST_ID = 128


@strawberry.enum(description="What was decided about a record.")
class Verdict(Enum):
    APPLIED = strawberry.enum_value("applied", description="It counts, once.")
    DUPLICATE = strawberry.enum_value("duplicate", description="Its id had come before, with the same payload.")
    CONFLICT = strawberry.enum_value("conflict", description="Its id had come before, with another payload.")
    QUARANTINED = strawberry.enum_value("quarantined", description="It is in the log and is no event.")
    REJECTED = strawberry.enum_value("rejected", description="The gateway refused it.")
    NEVER_SEEN = strawberry.enum_value(
        "never seen", description="No record has the id; or its user was erased, and nothing tells any more."
    )


@strawberry.type(description="One record with the event's id.")
class EventCopy:
    verdict: Verdict = strawberry.field(description="What was decided about this record.")
    topic: str = strawberry.field(description="With `partition` and `offset`: where the record is in Kafka.")
    partition: int = strawberry.field(description="Partition of the topic.")
    offset: Long = strawberry.field(description="Place in the partition.")
    epoch: Long = strawberry.field(description="The epoch that read it.")
    committed_at: datetime | None = strawberry.field(
        description="When that epoch was committed; null where the ledger has it no more."
    )
    arrived_at: datetime | None = strawberry.field(
        description="The broker's time of it; of a rejected one, the gateway's. Null of duplicates."
    )
    source: str | None = strawberry.field(description="Name of the write key's source; null where it is not known.")
    reason: str | None = strawberry.field(
        description="Why it was rejected or quarantined: a stable code; null of others."
    )
    pointer: str | None = strawberry.field(
        description="JSON Pointer (RFC 6901) to the fault; empty for the whole event, null where there is no fault."
    )
    detail: str | None = strawberry.field(description="What exactly was wrong; null where nothing was.")
    rejection_id: strawberry.ID | None = strawberry.field(description="Its id among the rejections; null of others.")
    first_epoch: Long | None = strawberry.field(
        description="Of a duplicate: the epoch that saw the id first; null of others."
    )
    log_version: Long | None = strawberry.field(
        description="Of an applied one: version of the Delta event log since which it is in there; null of others, and "
        "while that is not known."
    )


@strawberry.type(description="Where an event is in its session.")
class PlaceInSession:
    session: Session = strawberry.field(description="The session that it belongs to.")
    step: int | None = strawberry.field(description="Its number in `session.path`, from 1; null beyond the first 50.")


@strawberry.type(description="What a click led to, or a purchase came from.")
class EventConversion:
    purchase: str | None = strawberry.field(
        description="Of a click: id of the purchase it is credited with; null of a purchase, and of "
        "a click that led to none."
    )
    clicks: list[str] = strawberry.field(description="Of a purchase: ids of the clicks credited with it.")


async def _in_session(root: strawberry.Parent["AppliedEvent"], info: Info) -> PlaceInSession | None:
    rows = await info.context.snapshot.rows(session_of_event(root.session_id, root.timestamp))
    if not rows:
        return None
    session = session_of(rows[0], info, await info.context.snapshot.as_of())
    steps = [(step.action, step.event_id) for step in map(Step.parse, session.steps)]
    place = (root.action, root.event_id)
    return PlaceInSession(session=session, step=steps.index(place) + 1 if place in steps else None)


async def _conversion(root: strawberry.Parent["AppliedEvent"], info: Info) -> EventConversion | None:
    if root.product_id is None or root.action not in {"click", "purchase"}:
        return None
    rows = await info.context.snapshot.rows(conversion_of(root.event_id, root.user_id, root.product_id))
    if root.action == "click":
        return EventConversion(
            purchase=next((row.purchase_id for row in rows if row.event_id == root.event_id), None), clicks=[]
        )
    return EventConversion(purchase=None, clicks=[row.event_id for row in rows if row.purchase_id == root.event_id])


@strawberry.type(description="An event that counts, and where it does.")
class AppliedEvent(LoggedEvent):
    in_session: PlaceInSession | None = strawberry.field(
        resolver=_in_session, description="Its session; null while no session holds it."
    )
    conversion: EventConversion | None = strawberry.field(
        resolver=_conversion, description="Null where it is neither click nor purchase of a product."
    )


@strawberry.type(description="Everything that is known of an event id.")
class Explanation:
    event_id: str = strawberry.field(description="The id asked for.")
    verdict: Verdict = strawberry.field(description="The best that happened to any record with the id.")
    copies: list[EventCopy] = strawberry.field(description="Oldest first.")
    applied: list[AppliedEvent] = strawberry.field(
        description="The event that counts; two where click and transaction have the same id."
    )
    unlogged_epochs: Long = strawberry.field(
        description="Epochs that the event log does not have yet: what they applied is found seconds later."
    )


async def explain(
    info: Info,
    event_id: Annotated[str, strawberry.argument(description="As it was sent; a transaction's `transaction_id`.")],
) -> Explanation:
    """The snapshot is taken before the log is read, so that the log has at least what the snapshot says."""
    if not 0 < len(event_id) <= _LONGEST_ID or not event_id.isprintable():
        raise InvalidArgument("eventId", f"an id has 1 to {_LONGEST_ID} printable characters")
    as_of = await info.context.snapshot.as_of()
    if as_of is None:
        return Explanation(
            event_id=event_id, verdict=Verdict.NEVER_SEEN, copies=[], applied=[], unlogged_epochs=Long(0)
        )
    events = await info.context.logged(applied(event_id, as_of.epoch))
    rows = await info.context.snapshot.rows(copies(event_id, [dict(event._mapping) for event in events]))
    found = [_copy(row) for row in rows if row.verdict is not None]
    verdicts = {copy.verdict for copy in found}
    return Explanation(
        event_id=event_id,
        verdict=next((verdict for verdict in Verdict if verdict in verdicts), Verdict.NEVER_SEEN),
        copies=found,
        applied=[AppliedEvent(**logged(event)) for event in events],
        unlogged_epochs=Long(rows[0].unlogged if rows else 0),
    )


def _copy(row: ResultRow) -> EventCopy:
    told = dict(row._mapping)
    del told["unlogged"]
    version = told["log_version"] if row.verdict == "applied" else None
    return EventCopy(**told | {"verdict": Verdict(row.verdict), "log_version": version})
