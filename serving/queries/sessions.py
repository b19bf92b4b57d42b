"""Sessions, newest first, paged by key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, DateTime, Integer, Text, bindparam, false, select, true

from contracts.projections import sessions
from serving.cursors import Key
from serving.queries import KEPT_STATEMENTS, Asked, Statement
from serving.queries.json import Selection
from serving.queries.measures import given_moment, moment
from serving.queries.paging import Page, paged
from serving.queries.session_json import session_json
from serving.queries.visits import Visits
from serving.windows import Span

_TIME = DateTime(timezone=True)
_VISITS = ("device", "medium", "source", "category", "product_id")
_KEY = (sessions.c.started_at, sessions.c.session_id)
_COLUMNS = (
    "session_id",
    "started_at",
    "ended_at",
    "user_id",
    "events",
    "views",
    "clicks",
    "searches",
    "adds",
    "removes",
    "checkouts",
    "purchases",
    "units",
    "revenue",
    "entry_page",
    "exit_page",
    "path",
    "device",
    "browser",
    "os",
    "medium",
    "referrer_source",
    "campaign_source",
    "campaign",
    "category",
    "bot_score",
    "bot_reason",
    "bot",
    "viewed_at",
    "added_at",
    "checkout_at",
    "purchased_at",
    "late",
)


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions; None of a field means any."""

    visits: Visits
    status: Literal["active", "completed"] | None = None
    user_id: str | None = None
    session_id: str | None = None
    converted: bool | None = None


def session_page(
    where: SessionFilter, ended_by: datetime | None, page: Page, written: Selection | None = None
) -> Asked:
    """The sessions of a page: their columns, or their key and what is `written` of them.

    `ended_by` is the newest end of a completed one, see `completed_by`.
    """
    visits, values = where.visits, dict[str, Any]()
    for name in _VISITS:
        values[name] = getattr(visits, name)
    values |= {"user_id": where.user_id, "own_id": where.session_id, "ended_by": ended_by}
    if visits.span is not None:
        values |= {"starts": visits.span.start, "ends": visits.span.end}
    for side, key in (("after", page.after), ("before", page.before)):
        if key is not None:
            values |= {f"{side}_time": key.value, f"{side}_id": key.id}
    given = {name: value for name, value in values.items() if value is not None}
    form = _Form(frozenset(given), visits.bot, where.status, where.converted, page.from_end)
    return Asked(_page(form, written), {"ended_by": None, **given, "most": page.limit})


class _Form(NamedTuple):
    """What the statement of a page depends on: not on the values, but on which there are."""

    given: frozenset[str]
    bot: bool | None
    status: Literal["active", "completed"] | None
    converted: bool | None
    from_end: bool


@lru_cache(KEPT_STATEMENTS)
def _page(form: _Form, written: Selection | None) -> Statement:
    def parameter(name: str, type_: Any) -> Any:
        """In place of a value."""
        return bindparam(name, type_=type_)

    def text(name: str) -> Any:
        return parameter(name, Text) if name in form.given else None

    def key(side: str) -> Key[Any] | None:
        there = f"{side}_time" in form.given
        return Key(parameter(f"{side}_time", _TIME), parameter(f"{side}_id", Text)) if there else None

    span = Span(parameter("starts", _TIME), parameter("ends", _TIME)) if "starts" in form.given else None
    where = SessionFilter(
        Visits(span, form.bot, *(text(name) for name in _VISITS)),
        status=form.status,
        user_id=text("user_id"),
        session_id=text("own_id"),
        converted=form.converted,
    )
    ended_by = given_moment("ended_by") if "ended_by" in form.given else None
    page = Page(parameter("most", Integer), key("after"), key("before"), form.from_end)
    columns = [sessions.c[name] for name in _COLUMNS] if written is None else [*_KEY, session_json(written)]
    return paged(select(*columns).where(*_conditions(where, ended_by)), _KEY, page)


def one_session(key: Key[datetime]) -> Statement:
    """The session of a key."""
    return select(*(sessions.c[name] for name in _COLUMNS)).where(
        sessions.c.session_id == key.id, sessions.c.started_at == moment(key.value)
    )


def sessions_of_id(session_id: str) -> Statement:
    """All sessions of a session id, in order."""
    columns = [sessions.c[name] for name in _COLUMNS]
    return select(*columns).where(sessions.c.session_id == session_id).order_by(sessions.c.started_at)


def session_of_event(session_id: str, at: datetime) -> Statement:
    """The session that an event of this session id and time is in."""
    return select(*(sessions.c[name] for name in _COLUMNS)).where(
        sessions.c.session_id == session_id, sessions.c.started_at <= moment(at), sessions.c.ended_at >= moment(at)
    )


def _conditions(where: SessionFilter, ended_by: ColumnElement[datetime] | None) -> list[ColumnElement[bool]]:
    found = where.visits.conditions
    if where.status == "completed":
        found.append(sessions.c.ended_at <= ended_by if ended_by is not None else false())
    elif where.status == "active":
        found.append(sessions.c.ended_at > ended_by if ended_by is not None else true())
    if where.user_id is not None:
        found.append(sessions.c.user_id == where.user_id)
    if where.session_id is not None:
        found.append(sessions.c.session_id == where.session_id)
    if where.converted is not None:
        found.append(sessions.c.purchases > 0 if where.converted else sessions.c.purchases == 0)
    return found


def completed_by(watermark: datetime | None, gap: timedelta) -> datetime | None:
    """Newest end of a completed session: nothing can join it once the watermark is a gap past it."""
    return watermark - gap if watermark is not None else None
