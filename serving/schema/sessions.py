"""Roots about sessions: a Relay connection, newest first, and one session by its id."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Literal

import strawberry

from serving.cursors import SESSION, SESSIONS_BY_START, Key
from serving.errors import InvalidArgument
from serving.queries import ResultRow, folded
from serving.queries.folded import Fold
from serving.queries.paging import Page
from serving.queries.session_json import SESSION_JSON
from serving.queries.sessions import SessionFilter, completed_by, one_session, session_page, sessions_of_id
from serving.queries.visits import Visits
from serving.schema.common import LATE, REVISION, AsOf, BotFilter, Bots, TimeRange
from serving.schema.connections import After, Asked, Before, First, Last, PageInfo
from serving.schema.context import Info, selected
from serving.schema.counts import Counts
from serving.schema.history import AsOfEpoch, Told, rows_then, told_as_of
from serving.schema.narrowing import CategoryOfVisit, Device, Medium, Source
from serving.schema.scalars import Long
from serving.schema.written import as_written, chosen
from serving.snapshot import EpochRow

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
    at: datetime = strawberry.field(description="Event time.")
    action: str = strawberry.field(description="The clickstream's action, or `purchase` or `refund`.")
    product_id: strawberry.ID | None = strawberry.field(description="The product it names; null where it names none.")
    page: str | None = strawberry.field(description="URL of the page; null where it names none.")
    event_id: str = strawberry.field(description="For `explain`.")

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
class Session(Counts):
    id: strawberry.ID = strawberry.field(description="Global id: of the session id and its start. Opaque.")
    session_id: str = strawberry.field(description="The client's session id; it can have several sessions.")
    user_id: str = strawberry.field(description="User of the first event.")
    started_at: datetime = strawberry.field(description="Time of the first event.")
    ended_at: datetime = strawberry.field(description="Time of the last event so far.")
    duration: timedelta = strawberry.field(description="From the first event to the last.")
    duration_seconds: float = strawberry.field(
        description="`duration` in seconds.", deprecation_reason="Use `duration`."
    )
    status: SessionStatus = strawberry.field(description="Whether it can still go on.")
    events: Long = strawberry.field(description="Events of any kind.")
    entry_page: str | None = strawberry.field(description="First page seen; null where no event had one.")
    exit_page: str | None = strawberry.field(description="Last page seen so far; null where no event had one.")
    bounced: bool = strawberry.field(description="Whether it has exactly one event.")
    converted: bool = strawberry.field(description="Whether something was bought in it.")
    category: str | None = strawberry.field(description="The first category that an event named; null where none did.")
    device: str | None = strawberry.field(
        description="`desktop`, `mobile`, `tablet`, `tv`, `bot` or `other`, by the first event with a user agent, as "
        "are browser and system; null where no event had one."
    )
    browser: str | None = strawberry.field(description="Null where no user agent says.")
    os: str | None = strawberry.field(description="Operating system; null where no user agent says.")
    medium: str | None = strawberry.field(
        description="How the visitor came, by the first event with a page or a referrer: `direct`, `internal`, "
        "`search`, `social`, `email`, `paid`, `affiliate`, `campaign` or `referral`; null where nothing says."
    )
    referrer_source: str | None = strawberry.field(
        description="The site the visitor came from; null where none is known."
    )
    campaign_source: str | None = strawberry.field(description="The campaign's `utm_source`; null without one.")
    campaign: str | None = strawberry.field(description="The campaign's `utm_campaign`; null without one.")
    bot: bool = strawberry.field(description="Whether `botScore` is 50 or more.")
    bot_score: int = strawberry.field(description="0 to 100, the highest among its events: how much speaks for a bot.")
    bot_reason: str | None = strawberry.field(
        description="Stable code of what speaks most for a bot; null where nothing does."
    )
    viewed_at: datetime | None = strawberry.field(
        description="Funnel: its first view; null without one. The funnel reaches as far as the path, 50 events."
    )
    added_at: datetime | None = strawberry.field(
        description="Funnel: the first add to cart at or after `viewedAt`; null without one."
    )
    checkout_at: datetime | None = strawberry.field(
        description="Funnel: the first start of a checkout at or after `addedAt`; null without one."
    )
    purchased_at: datetime | None = strawberry.field(
        description="Funnel: the first purchase at or after `checkoutAt`; null without one."
    )
    late_events: Long = strawberry.field(description=LATE)
    revision: Long = strawberry.field(description=REVISION)
    as_of: AsOf | None = strawberry.field(description="The commit these numbers belong to. Never null.")
    path: list[Step] = strawberry.field(resolver=_path, description="Its first 50 events, in order.")
    steps: strawberry.Private[list[str]]


@strawberry.type(description="A session and its place in the list.")
class SessionEdge:
    cursor: str = strawberry.field(description="Opaque; hand it back as `after` or `before`.")
    node: Session = strawberry.field(description="The session.")


@strawberry.type(description="A page of sessions.")
class SessionConnection:
    edges: list[SessionEdge] = strawberry.field(description="The sessions with their cursors.")
    nodes: list[Session] = strawberry.field(description="The sessions without their edges.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")


async def sessions(
    info: Info,
    *,
    range: Annotated[TimeRange | None, strawberry.argument(description="Sessions that started in it.")] = None,
    status: Annotated[
        SessionStatus | None, strawberry.argument(description="Sessions that go on, or that are over.")
    ] = None,
    user_id: Annotated[
        str | None, strawberry.argument(description="Sessions whose first event is this user's.")
    ] = None,
    session_id: Annotated[
        str | None, strawberry.argument(description="Sessions with this session id of the client.")
    ] = None,
    product_id: Annotated[
        strawberry.ID | None,
        strawberry.argument(description="Sessions with this product among their first 50 events; needs a `range`."),
    ] = None,
    device: Device = None,
    medium: Medium = None,
    source: Source = None,
    category: CategoryOfVisit = None,
    converted: Annotated[
        bool | None, strawberry.argument(description="Sessions in which something was bought, or nothing was.")
    ] = None,
    bots: Bots = BotFilter.EXCLUDE,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    as_of: AsOfEpoch = None,
) -> SessionConnection:
    """Newest first; `first`/`after` go towards older ones, `last`/`before` towards newer ones."""
    if product_id is not None and range is None:
        raise InvalidArgument("range", "is needed with `productId`")
    asked = Asked.checked(info, SESSIONS_BY_START, first=first, after=after, last=last, before=before)
    span = range.span() if range is not None else None
    where = SessionFilter(
        Visits(span, bots.bot, device, medium, source, category, product_id),
        status=_STATUS[status] if status is not None else None,
        user_id=user_id,
        session_id=session_id,
        converted=converted,
    )
    told, gap = await told_as_of(info, as_of), info.context.services.session_gap
    ended_by = completed_by(told.watermark, gap)
    folds = await _page_then(info, told, where, asked.page) if told.past else []
    rows: Sequence[ResultRow] = ()
    nodes: list[Session] | None = None
    if fields := chosen(info, SESSION_JSON, under=(("nodes",), ("edges", "node"))):
        statement, values = session_page(where, ended_by, asked.page, fields)
        values = {**values, "currency": info.context.services.shop.currency}
        rows = await rows_then(info, told, statement, folds, values=values)
        nodes = as_written(asked.cut(rows), Session)
    if nodes is None:
        statement, values = session_page(where, ended_by, asked.page)
        rows = await rows_then(info, told, statement, folds, values=values)
        nodes = [session_of(row, info, told.as_of) for row in asked.cut(rows)]
    kept = asked.cut(rows)
    return SessionConnection(
        edges=_edges(kept, nodes) if selected(info, ["edges"]) else [],
        nodes=nodes,
        page_info=asked.info(len(rows), [_cursor(row) for row in (*kept[:1], *kept[-1:])]),
    )


async def session(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="A session's `id`, not its `sessionId`.")],
    as_of: AsOfEpoch = None,
) -> Session | None:
    """One session; null where it does not exist (any more: a late event can move a start)."""
    key = SESSION.decode(id, "id")
    told = await told_as_of(info, as_of)
    if told.past:
        row = await _session_then(info, told, key)
        return session_of(row, info, told.as_of) if row is not None else None
    rows = await info.context.snapshot.rows(one_session(key))
    return session_of(rows[0], info, told.as_of) if rows else None


async def _session_then(info: Info, told: Told, key: Key[datetime]) -> ResultRow | None:
    """What the session of a key of now was.

    A late event may have moved the beginning since, and joined what was several: of those it is the first that had not
    ended when the one of this key begins.
    """
    asked, folds = sessions_of_id(key.id), folded.sessions(None, info.context.services.session_gap, ids=[key.id])
    now, then = await info.context.snapshot.rows(asked), await rows_then(info, told, asked, folds)
    whole = [each for each in now if each.started_at <= key.value <= each.ended_at]
    parts = [part for each in whole for part in then if each.started_at <= part.started_at <= each.ended_at]
    return next((part for part in parts if part.ended_at >= key.value), None)


async def _page_then(info: Info, told: Told, where: SessionFilter, page: Page) -> list[Fold]:
    """The sessions of a page, and few more. Which they are is asked first: whole rows of all would be too much."""
    span, gap = where.visits.span, info.context.services.session_gap
    if span is None and where.session_id is None and where.user_id is None:
        raise InvalidArgument("range", "is needed with `asOf`, or a `sessionId` or `userId`")
    spans = [span] if span is not None else None
    ids = [where.session_id] if where.session_id is not None else None
    users = [where.user_id] if where.user_id is not None else None
    keys, values = session_page(where, completed_by(told.watermark, gap), page, ())
    found = await rows_then(info, told, keys, folded.sessions(spans, gap, ids=ids, users=users), values=values)
    return folded.sessions(spans, gap, ids=sorted({row.session_id for row in found}))


def _edges(rows: Sequence[ResultRow], nodes: Sequence[Session]) -> list[SessionEdge]:
    return [SessionEdge(cursor=_cursor(row), node=node) for row, node in zip(rows, nodes, strict=True)]


def _cursor(row: ResultRow) -> str:
    return SESSIONS_BY_START.encode(Key(row.started_at, row.session_id))


def session_of(row: ResultRow, info: Info, as_of: EpochRow | None) -> Session:
    """The API's view of a row of the sessions."""
    services = info.context.services
    ended_by = completed_by(as_of.watermark if as_of else None, services.session_gap)
    completed = ended_by is not None and row.ended_at <= ended_by
    duration: timedelta = row.ended_at - row.started_at
    return Session(
        id=strawberry.ID(SESSION.encode(Key(row.started_at, row.session_id))),
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
        converted=row.purchases > 0,
        category=row.category or None,
        # The event that was chosen may know only part of it; what it does not know is an empty text.
        device=row.device or None,
        browser=row.browser or None,
        os=row.os or None,
        medium=row.medium or None,
        referrer_source=row.referrer_source or None,
        campaign_source=row.campaign_source or None,
        campaign=row.campaign or None,
        bot=row.bot,
        bot_score=row.bot_score,
        bot_reason=row.bot_reason,
        viewed_at=row.viewed_at,
        added_at=row.added_at,
        checkout_at=row.checkout_at,
        purchased_at=row.purchased_at,
        late_events=row.late,
        revision=row.late,
        as_of=AsOf.of(as_of) if as_of else None,
        steps=row.path,
    )
