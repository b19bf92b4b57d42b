"""Requests for what is done outside of serving: writing one down, and what became of them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from contracts.tables import REQUESTS_CHANNEL, requests
from serving.queries import Statement
from serving.queries.paging import Page, paged

_TOLD: Final = tuple(column for column in requests.c if column.name != "arguments")


def ask(kind: str, arguments: Mapping[str, Any], key: str, by: str) -> ReturningInsert[Any]:
    """Write a request down, or find the one that has the key already; its row. The commit tells who does them."""
    asked = insert(requests).values(
        key=key, kind=kind, arguments=dict(arguments), fingerprint=fingerprint(kind, arguments), asked_by=by
    )
    told = func.pg_notify(REQUESTS_CHANNEL, "")
    return asked.on_conflict_do_update(index_elements=["key"], set_={"key": key}).returning(*_TOLD, told)


def fingerprint(kind: str, arguments: Mapping[str, Any]) -> bytes:
    """Equal for requests that ask for the same."""
    return hashlib.sha256(json.dumps([kind, dict(arguments)], sort_keys=True).encode()).digest()


def requests_page(page: Page, state: str | None) -> Statement:
    """Requests in a state, or in any; the newest first."""
    statement = select(*_TOLD)
    return paged(statement if state is None else statement.where(requests.c.state == state), (requests.c.id,), page)
