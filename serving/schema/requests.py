"""What an administrator asks for and others do: erasing a user, sending rejected events again."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Annotated, Any, Final

import strawberry

from serving.cursors import REQUESTS
from serving.cursors import Key as Place
from serving.errors import InvalidArgument, KeysNeeded, TooLarge
from serving.queries import ResultRow
from serving.queries.paging import Page
from serving.queries.requests import ask, fingerprint, requests_page
from serving.schema.common import page_size
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info

_LONGEST: Final = 128
_LONGEST_PATCH: Final = 4096
_MOST_IDS: Final = 1000
_REJECTION: Final = re.compile(r"[0-9a-f-]{4,36}")


@strawberry.enum(description="What is asked for.")
class RequestKind(Enum):
    ERASE_USER = strawberry.enum_value("erase_user", description="`eraseUser`.")
    REPLAY_REJECTED = strawberry.enum_value("replay_rejected", description="`replayRejected`.")


@strawberry.enum(description="How far a request is.")
class RequestState(Enum):
    WAITING = strawberry.enum_value("waiting", description="It is to be done, or tried again.")
    RUNNING = strawberry.enum_value("running", description="It is being done.")
    DONE = strawberry.enum_value("done", description="`receipt` says what was done.")
    FAILED = strawberry.enum_value("failed", description="It was given up; `error` says why.")


@strawberry.type(description="Something that was asked for by a mutation, and what became of it.")
class Request:
    id: strawberry.ID = strawberry.field(description="Number of the request.")
    key: str = strawberry.field(description="As it was given by who asked.")
    kind: RequestKind = strawberry.field(description="What is asked for.")
    state: RequestState = strawberry.field(description="How far it is.")
    asked_by: str = strawberry.field(description="The read key's source.")
    asked_at: datetime = strawberry.field(description="When it was first asked for.")
    started_at: datetime | None = strawberry.field(description="When it was last tried; null until then.")
    finished_at: datetime | None = strawberry.field(description="When it was done, or given up; null until then.")
    attempts: int = strawberry.field(description="How often it was tried.")
    error: str | None = strawberry.field(description="Why the last attempt came to nothing; null where none has.")
    receipt: str | None = strawberry.field(
        description="What was done, as JSON: of an erasure the receipt of `millrace erase`; of a replay the `counts` "
        "by outcome, and some that were `not_accepted`; null until it is done."
    )


Key = Annotated[
    str,
    strawberry.argument(
        description="Your own name for this request, 1 to 128 characters. Asked again with the same key it is not done "
        "again: you are told what became of it."
    ),
]


InState = Annotated[RequestState | None, strawberry.argument(description="Only those in this state.")]


async def requests(
    info: Info,
    state: InState = None,
    first: Annotated[int, strawberry.argument(description="Most requests wanted.")] = 50,
) -> list[Request]:
    """The newest first."""
    page = Page(page_size("first", first, info))
    return [_request(row) for row in await info.context.snapshot.rows(requests_page(page, _text_of(state)))]


async def requests_connection(
    info: Info,
    state: InState = None,
    *,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Request]:
    """The newest first."""
    ask, which = partial(requests_page, state=_text_of(state)), Which(first, after, last, before)
    return await connection(info, REQUESTS, which, ask, key=lambda row: Place(row.id, ()), node=_request)


def _text_of(state: RequestState | None) -> str | None:
    return None if state is None else str(state.value)


async def erase_user(
    info: Info,
    user_id: Annotated[strawberry.ID, strawberry.argument(description="As the events have it.")],
    key: Key,
) -> Request:
    """It is only written down here."""
    return await _ask(info, RequestKind.ERASE_USER, {"user_id": _text("userId", user_id)}, key)


async def replay_rejected(
    info: Info,
    *,
    key: Key,
    ids: Annotated[
        list[strawberry.ID] | None,
        strawberry.argument(description="Ids of rejected events, or their first characters, at least four."),
    ] = None,
    reason: Annotated[str | None, strawberry.argument(description="Only those refused for it.")] = None,
    source: Annotated[str | None, strawberry.argument(description="Only those that this source sent.")] = None,
    since: Annotated[datetime | None, strawberry.argument(description="Only those received then or later.")] = None,
    patch: Annotated[
        str | None,
        strawberry.argument(description="How to repair them, in jq's words, as `millrace rejected replay --patch`."),
    ] = None,
) -> Request:
    """It is only written down here."""
    if not (ids or reason or source or since):
        raise InvalidArgument("ids", "say which: ids, reason, source or since")
    if len(ids or ()) > _MOST_IDS:
        raise TooLarge("ids", f"{len(ids or ())} are over the limit of {_MOST_IDS}")
    if any(not _REJECTION.fullmatch(each) for each in ids or ()):
        raise InvalidArgument("ids", "a rejection id is a UUID, or its first characters, at least four")
    if patch is not None and len(patch) > _LONGEST_PATCH:
        raise TooLarge("patch", f"it is over {_LONGEST_PATCH} characters")
    wanted: dict[str, Any] = {
        "ids": ids,
        "reason": _text("reason", reason) if reason else None,
        "source": _text("source", source) if source else None,
        "since": since.astimezone(UTC).isoformat() if since is not None else None,
        "patch": patch or None,
    }
    told = {name: value for name, value in wanted.items() if value}
    return await _ask(info, RequestKind.REPLAY_REJECTED, told, key)


async def _ask(info: Info, kind: RequestKind, arguments: Mapping[str, Any], key: str) -> Request:
    if info.context.services.settings.keys_file is None:
        raise KeysNeeded("This needs a key with the scope admin, and no keys are asked for here: set a keys file.")
    statement = ask(str(kind.value), arguments, _text("key", key), info.context.client)
    (row,) = await info.context.services.database.write(statement)
    if row.fingerprint != fingerprint(str(kind.value), arguments):
        raise InvalidArgument("key", "it was used for a request of something else")
    return _request(row)


def _text(argument: str, text: str) -> str:
    if not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise InvalidArgument(argument, f"1 to {_LONGEST} printable characters")
    return text


def _request(row: ResultRow) -> Request:
    same = ("key", "asked_by", "asked_at", "started_at", "finished_at", "attempts", "error")
    return Request(
        **{name: row._mapping[name] for name in same},
        id=strawberry.ID(str(row.id)),
        kind=RequestKind(row.kind),
        state=RequestState(row.state),
        receipt=json.dumps(row.receipt) if row.receipt is not None else None,
    )
