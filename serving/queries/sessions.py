"""Sessions, newest first, paged by key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, cast, exists, false, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from contracts.projections import sessions
from serving.cursors import SessionKey
from serving.queries import Statement
from serving.queries.measures import counted, moment
from serving.windows import Span

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
    "late",
)


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions; None of a field means any."""

    span: Span | None = None
    status: Literal["active", "completed"] | None = None
    user_id: str | None = None
    session_id: str | None = None
    product_id: str | None = None
    bot: bool | None = None


@dataclass(frozen=True)
class Page:
    """At most `limit` sessions between two keys; `from_end` takes the last ones of those, in reverse order."""

    limit: int
    after: SessionKey | None = None
    before: SessionKey | None = None
    from_end: bool = False


def session_page(where: SessionFilter, ended_by: datetime | None, page: Page) -> Statement:
    """The sessions of a page. `ended_by` is the newest end of a completed one, see `completed_by`."""
    order = [column.asc() if page.from_end else column.desc() for column in _KEY]
    statement = select(*(sessions.c[name] for name in _COLUMNS)).where(*_conditions(where, ended_by))
    if page.after is not None:
        statement = statement.where(tuple_(*_KEY) < _bound(page.after))
    if page.before is not None:
        statement = statement.where(tuple_(*_KEY) > _bound(page.before))
    return statement.order_by(*order).limit(page.limit)


def one_session(key: SessionKey) -> Statement:
    """The session of a key."""
    return select(*(sessions.c[name] for name in _COLUMNS)).where(
        sessions.c.session_id == key.session_id, sessions.c.started_at == moment(key.started_at)
    )


def _bound(key: SessionKey) -> ColumnElement[Any]:
    return tuple_(moment(key.started_at), key.session_id)


def _conditions(where: SessionFilter, ended_by: datetime | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [counted(sessions, where.bot)]
    if where.span is not None:
        found += [
            sessions.c.started_at >= moment(where.span.start),
            sessions.c.started_at < moment(where.span.end),
        ]
    if where.status == "completed":
        found.append(sessions.c.ended_at <= moment(ended_by) if ended_by is not None else false())
    elif where.status == "active":
        found.append(sessions.c.ended_at > moment(ended_by) if ended_by is not None else true())
    if where.user_id is not None:
        found.append(sessions.c.user_id == where.user_id)
    if where.session_id is not None:
        found.append(sessions.c.session_id == where.session_id)
    if where.product_id is not None:
        step = func.unnest(sessions.c.path, type_=Text).column_valued("step")
        found.append(exists(select(step).where(cast(step, JSONB)[3].astext == where.product_id)))
    return found


def completed_by(watermark: datetime | None, gap: timedelta) -> datetime | None:
    """Newest end of a completed session: nothing can join it once the watermark is a gap past it."""
    return watermark - gap if watermark is not None else None
