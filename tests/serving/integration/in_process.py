"""Documents run in the test's own process, and the SQL that they took."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine

from contracts.settings import PostgresSettings, ShopSettings
from serving.database import Database
from serving.event_log import EventLog
from serving.execution import Executor, Outcome
from serving.feed import EpochFeed
from serving.request import from_members
from serving.schema import build_schema
from serving.schema.context import Services
from serving.settings import ServingSettings
from tests.serving.integration.conftest import Server


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that run meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def run(server: Server, document: str, **variables: Any) -> tuple[dict[str, Any], list[str]]:
    """The data of a document that is run in this process, and the statements it took."""
    settings = ServingSettings(max_aliases=100)
    database = Database(PostgresSettings(url=SecretStr(server.database_url), db_schema=server.schema), settings)
    services = Services(
        database, EpochFeed(database.connect, 5), settings, ShopSettings(), EventLog(server.home / "delta", 2)
    )
    try:
        with counted() as statements:
            executor = Executor(build_schema(), services)
            request = from_members({"query": document, "variables": variables})
            answer = await executor.run(request, executor.operation(request))
    finally:
        await database.close()
    assert answer.outcome is Outcome.DATA, answer
    return json.loads(answer.body)["data"], statements
