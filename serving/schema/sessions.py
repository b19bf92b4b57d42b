"""Roots about sessions: a Relay connection, newest first, and one session by its id."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

import strawberry

from serving.cursors import CURSOR, SESSION, SessionKey, decode, encode
from serving.database import EpochRow
from serving.errors import InvalidArgument
from serving.queries import ResultRow
from serving.queries.sessions import Page, SessionFilter, completed_by, one_session, session_page
from serving.schema.common import CURRENCY, REVISION, AsOf, BotFilter, TimeRange, page_size
from serving.schema.context import Info
from serving.schema.scalars import Long

_DEFAULT_FIRST = 20
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


@strawberry.enum(description="Whether a session can still go on.")
class SessionStatus(Enum):
    ACTIVE = strawberry.enum_value("active", description="An event on time could still join it.")
    COMPLETED = strawberry.enum_value(
        "completed", description="The watermark is the session gap or more past its last event."
    )


_STATUS: dict[SessionStatus, Literal["active", "completed"]] = {
    SessionStatus.ACTIVE: "active",
    SessionStatus.COMPLETED: "completed",
}


@strawberry.type(description="One event of a session.")
class Step:
    at: datetime
    action: str = strawberry.field(description="The clickstream's action, or `purchase` or `refund`.")
    product_id: strawberry.ID | None
    page: str | None
    event_id: str

    @classmethod
    def parse(cls, text: str) -> "Step":
        """A step as processing keeps it: the JSON text of [ms, action, event id, product id, page]."""
        millis, action, event_id, product_id, page = json.loads(text)
        return cls(
            at=_ORIGIN + timedelta(milliseconds=int(millis)),
            action=action,
            product_id=product_id or None,
            page=page or None,
            event_id=event_id,
        )


def _path(root: strawberry.Parent["Session"]) -> list[Step]:
    return [Step.parse(step) for step in root.steps]


@strawberry.type(
    description="Events of one session id that are less than the session gap (30 minutes) apart in event time."
)
class Session:
    id: strawberry.ID = strawberry.field(description="Global id: of the session id and its start. Opaque.")
    session_id: str = strawberry.field(description="The client's session id; it can have several sessions.")
    user_id: str = strawberry.field(description="User of the first event.")
    started_at: datetime = strawberry.field(description="Time of the first event.")
    ended_at: datetime = strawberry.field(description="Time of the last event so far.")
    duration: timedelta = strawberry.field(description="From the first event to the last.")
    duration_seconds: float
    status: SessionStatus
    events: Long
    views: Long
    clicks: Long
    searches: Long
    adds: Long
    removes: Long
    checkouts: Long
    purchases: Long = strawberry.field(description="Order lines bought.")
    units: Long
    revenue: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    currency: str = strawberry.field(description=CURRENCY)
    entry_page: str | None = strawberry.field(description="First page seen.")
    exit_page: str | None = strawberry.field(description="Last page seen so far.")
    bounced: bool = strawberry.field(description="Whether it has exactly one event.")
    late_events: Long
    revision: Long = strawberry.field(description=REVISION)
    as_of: AsOf | None = strawberry.field(description="The commit these numbers belong to.")
    path: list[Step] = strawberry.field(resolver=_path, description="Its first 50 events, in order.")
    steps: strawberry.Private[list[str]]


@strawberry.type(description="Relay: where a page lies in the list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="A session and its place in the list.")
class SessionEdge:
    cursor: str = strawberry.field(description="Opaque; hand it back as `after` or `before`.")
    node: Session


@strawberry.type(description="A page of sessions.")
class SessionConnection:
    edges: list[SessionEdge]
    nodes: list[Session] = strawberry.field(description="The sessions without their edges.")
    page_info: PageInfo


async def sessions(
    info: Info,
    *,
    range: Annotated[TimeRange | None, strawberry.argument(description="Sessions that started in it.")] = None,
    status: SessionStatus | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    product_id: Annotated[
        strawberry.ID | None,
        strawberry.argument(description="Sessions with this product among their first 50 events; needs a `range`."),
    ] = None,
    bots: BotFilter = BotFilter.EXCLUDE,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> SessionConnection:
    """Newest first; `first`/`after` go towards older ones, `last`/`before` towards newer ones."""
    if first is not None and last is not None:
        raise InvalidArgument("last", "give `first` or `last`, not both")
    if product_id is not None and range is None:
        raise InvalidArgument("range", "is needed with `productId`")
    if last is not None:
        size = page_size("last", last, info)
    else:
        default = min(_DEFAULT_FIRST, info.context.services.settings.max_page_size)
        size = page_size("first", default if first is None else first, info)
    page = Page(
        limit=size + 1,
        after=decode(CURSOR, after, "after") if after is not None else None,
        before=decode(CURSOR, before, "before") if before is not None else None,
        from_end=last is not None,
    )
    where = SessionFilter(
        span=range.span() if range is not None else None,
        status=_STATUS[status] if status is not None else None,
        user_id=user_id,
        session_id=session_id,
        product_id=product_id,
        bot=bots.bot,
    )
    as_of = await info.context.snapshot.as_of()
    ended_by = completed_by(as_of.watermark if as_of else None, info.context.services.session_gap)
    rows = list(await info.context.snapshot.rows(session_page(where, ended_by, page)))
    more, rows = len(rows) > size, rows[:size]
    if page.from_end:
        rows.reverse()
    edges = [_edge(row, info, as_of) for row in rows]
    return SessionConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            # The row of a given cursor lies outside the page, so on that side there is at least one more.
            has_next_page=before is not None if page.from_end else more,
            has_previous_page=more if page.from_end else after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


async def session(info: Info, id: strawberry.ID) -> Session | None:
    """One session; null where it does not exist (any more: a late event can move a start)."""
    key = decode(SESSION, id, "id")
    rows = await info.context.snapshot.rows(one_session(key))
    return _session(rows[0], info, await info.context.snapshot.as_of()) if rows else None


def _edge(row: ResultRow, info: Info, as_of: EpochRow | None) -> SessionEdge:
    key = SessionKey(row.started_at, row.session_id)
    return SessionEdge(cursor=encode(CURSOR, key), node=_session(row, info, as_of))


def _session(row: ResultRow, info: Info, as_of: EpochRow | None) -> Session:
    services = info.context.services
    ended_by = completed_by(as_of.watermark if as_of else None, services.session_gap)
    completed = ended_by is not None and row.ended_at <= ended_by
    duration: timedelta = row.ended_at - row.started_at
    return Session(
        id=strawberry.ID(encode(SESSION, SessionKey(row.started_at, row.session_id))),
        session_id=row.session_id,
        user_id=row.user_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration=duration,
        duration_seconds=duration.total_seconds(),
        status=SessionStatus.COMPLETED if completed else SessionStatus.ACTIVE,
        events=row.events,
        views=row.views,
        clicks=row.clicks,
        searches=row.searches,
        adds=row.adds,
        removes=row.removes,
        checkouts=row.checkouts,
        purchases=row.purchases,
        units=row.units,
        revenue=row.revenue,
        currency=services.shop.currency,
        entry_page=row.entry_page,
        exit_page=row.exit_page,
        bounced=row.events == 1,
        late_events=row.late,
        revision=row.late,
        as_of=AsOf.of(as_of) if as_of else None,
        steps=row.path,
    )
