"""Rejected events as processing keeps them in Postgres, found by filters page by page; and which were replayed."""

import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from stack.errors import SettingsError
from stack.layout import Layout
from stack.store import connected

TABLE: Final = "rejected_events"
"""By its name: to import the contracts of all tables took half of the time in which every command starts."""
COLUMNS: Final = (
    "rejection_id", "received_at", "source", "reason", "pointer", "detail", "content_type", "event_id", "raw",
    "truncated",
)  # fmt: skip
_ID: Final = re.compile(r"[0-9a-f-]{4,36}")


@dataclass(frozen=True)
class Rejection:
    """A refused event: what the record in the topic `rejected` said of it."""

    rejection_id: str
    received_at: datetime
    source: str
    reason: str
    pointer: str
    detail: str
    content_type: str
    event_id: str | None
    raw: bytes
    truncated: bool


@dataclass(frozen=True)
class Wanted:
    """Which rejections; what is empty or None does not matter."""

    ids: tuple[str, ...] = ()
    """Whole ids or the beginnings of some, at least four characters."""
    reason: str = ""
    source: str = ""
    since: datetime | None = None
    """Received then or later."""


class Rejections:
    """Reads the table over one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def page(
        self, wanted: Wanted, limit: int, after: Rejection | None = None, *, oldest_first: bool = False
    ) -> list[Rejection]:
        """Up to `limit` rejections in the order of receipt, those after another one. Raises SettingsError."""
        parameters: list[object] = []

        def given(value: object) -> str:
            parameters.append(value)
            return f"${len(parameters)}"

        conditions = ["true"]
        if wanted.ids:
            conditions.append(f"rejection_id LIKE ANY ({given([_prefix(told) for told in wanted.ids])}::text[])")
        if wanted.reason:
            conditions.append(f"reason = {given(wanted.reason)}")
        if wanted.source:
            conditions.append(f"source = {given(wanted.source)}")
        if wanted.since is not None:
            conditions.append(f"received_at >= {given(wanted.since)}")
        sign, order = (">", "ASC") if oldest_first else ("<", "DESC")
        if after is not None:
            place = f"({given(after.received_at)}, {given(after.rejection_id)})"
            conditions.append(f"(received_at, rejection_id) {sign} {place}")
        rows = await self._connection.fetch(
            f"SELECT {', '.join(COLUMNS)} FROM {TABLE} WHERE {' AND '.join(conditions)} "  # noqa: S608 - names are constants, values parameters
            f"ORDER BY received_at {order}, rejection_id {order} LIMIT {given(limit)}",
            *parameters,
        )
        return [Rejection(**dict(row)) for row in rows]

    async def one(self, told: str) -> Rejection:
        """The rejection whose id this is or begins with. Raises SettingsError unless there is exactly one."""
        found = await self.page(Wanted(ids=(told,)), 2)
        if len(found) != 1:
            raise SettingsError(f"{'Several rejections have' if found else 'No rejection has'} an id with {told!r}.")
        return found[0]


@asynccontextmanager
async def open_rejections(url: str, schema: str) -> AsyncIterator[Rejections]:
    """The rejections of a serving store. Raises SettingsError where it cannot be read."""
    async with connected(url, schema, "rejected events") as connection:
        yield Rejections(connection)


class Record:
    """Which rejections were replayed: one JSON object per line, appended after the gateway has acknowledged."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.replayed
        lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
        self.ids = {json.loads(line)["rejection_id"] for line in lines if line.endswith("}")}

    def add(self, replayed: Sequence[tuple[str, str]]) -> None:
        """Note these rejections and the ids of their events; on disk when this returns."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._path.open("a", encoding="utf-8") as file:
            for rejection_id, event_id in replayed:
                line = {"rejection_id": rejection_id, "event_id": event_id, "at": at}
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.ids |= {rejection_id for rejection_id, _ in replayed}


def _prefix(told: str) -> str:
    if not _ID.fullmatch(told):
        raise SettingsError(f"{told!r} is no rejection id: a UUID, or its first characters, at least four.")
    return f"{told}%"
