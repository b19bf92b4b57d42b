"""Documents run in the test's own process, and the SQL that they took."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from pydantic import SecretStr

from contracts.settings import PostgresSettings, ShopSettings
from serving.answers import Answers
from serving.database import Database
from serving.event_log import EventLog
from serving.execution import Executor, Outcome
from serving.feed import EpochFeed
from serving.request import from_members
from serving.schema import build_schema
from serving.schema.context import Services
from serving.settings import ServingSettings
from serving.streams import Streams
from tests.serving.integration.conftest import Server


class Counting(Database):
    """Notes what it asks of Postgres, but for what asyncpg asks about types."""

    def __init__(self, postgres: PostgresSettings, serving: ServingSettings) -> None:
        super().__init__(postgres, serving)
        self.asked: list[str] = []

    @property
    def statements(self) -> list[str]:
        """The same without the ends of transactions."""
        return [each for each in self.asked if not each.startswith(("BEGIN", "ROLLBACK"))]

    async def connect(self) -> Any:
        connection = await super().connect()
        connection.add_query_logger(self._note)
        return connection

    def _note(self, ran: asyncpg.connection.LoggedQuery) -> None:
        own = ("typeinfo_tree", "current_setting('jit')")
        if not any(each in ran.query for each in own):
            self.asked.append(ran.query)


class InProcess:
    """Runs documents, each of them anew."""

    def __init__(self, services: Services, database: Counting) -> None:
        self._executor = Executor(build_schema(), services)
        self.feed = services.feed
        self.streams = Streams(self._executor, Answers(services.feed, 1_000_000), services.feed, 1)
        self.database = database

    async def data(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer that must have no errors."""
        request = from_members({"query": document, "variables": variables})
        answer = await self._executor.run(request, self._executor.operation(request))
        while ending := self.database.pool._ending:  # for which the answer has not waited
            await asyncio.wait(ending)
        await asyncio.sleep(0)  # what was asked is noted a moment later
        assert answer.outcome is Outcome.DATA, answer
        data: dict[str, Any] = json.loads(answer.body)["data"]
        return data


@asynccontextmanager
async def in_process(server: Server) -> AsyncIterator[InProcess]:
    """What answers the server's documents in this process."""
    settings = ServingSettings(max_aliases=100)
    database = Counting(PostgresSettings(url=SecretStr(server.database_url), db_schema=server.schema), settings)
    services = Services(
        database, EpochFeed(database.connect, 5), settings, ShopSettings(), EventLog(server.home / "delta", 2)
    )
    try:
        yield InProcess(services, database)
    finally:
        await database.close()


async def run(server: Server, document: str, **variables: Any) -> tuple[dict[str, Any], list[str]]:
    """The data of a document that is run in this process, and the statements it took."""
    async with in_process(server) as running:
        data = await running.data(document, **variables)
    return data, running.database.statements
