"""Documents run in the test's own process, and the SQL that they took."""

import json
from typing import Any

import asyncpg
from pydantic import SecretStr

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


class Counting(Database):
    """Notes the statements that it runs, but for the ends of transactions and what asyncpg asks about types."""

    def __init__(self, postgres: PostgresSettings, serving: ServingSettings) -> None:
        super().__init__(postgres, serving)
        self.statements: list[str] = []

    async def connect(self) -> Any:
        connection = await super().connect()
        connection.add_query_logger(self._note)
        return connection

    def _note(self, ran: asyncpg.connection.LoggedQuery) -> None:
        own = ("typeinfo_tree", "current_setting('jit')")
        if not ran.query.startswith(("BEGIN", "ROLLBACK")) and not any(each in ran.query for each in own):
            self.statements.append(ran.query)


async def run(server: Server, document: str, **variables: Any) -> tuple[dict[str, Any], list[str]]:
    """The data of a document that is run in this process, and the statements it took."""
    settings = ServingSettings(max_aliases=100)
    database = Counting(PostgresSettings(url=SecretStr(server.database_url), db_schema=server.schema), settings)
    services = Services(
        database, EpochFeed(database.connect, 5), settings, ShopSettings(), EventLog(server.home / "delta", 2)
    )
    try:
        executor = Executor(build_schema(), services)
        request = from_members({"query": document, "variables": variables})
        answer = await executor.run(request, executor.operation(request))
    finally:
        await database.close()
    assert answer.outcome is Outcome.DATA, answer
    return json.loads(answer.body)["data"], database.statements
