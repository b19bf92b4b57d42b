"""Statements against events in a real Postgres, one small state of the store after another: for property tests."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.tables import metadata
from serving.queries import ResultRow, Statement
from tests.serving.events import Event
from tests.serving.rows import projection_rows
from tests.serving.shop import create_tables, engine


class Scratch:
    """A schema whose tables stay empty: what is put in for a statement is gone after it."""

    def __init__(self, url: str, schema: str, tables: Sequence[str]) -> None:
        self._runner = asyncio.Runner()
        self._tables = tables
        self._runner.run(create_tables(url, schema))
        self._engine: AsyncEngine = engine(url, schema)

    def rows(self, events: list[Event], *statements: Statement) -> list[Sequence[ResultRow]]:
        """The rows of each statement in the store that the events make."""
        return self._runner.run(self._rows(events, statements))

    async def _rows(self, events: list[Event], statements: Sequence[Statement]) -> list[Sequence[ResultRow]]:
        found: dict[str, list[dict[str, Any]]] = projection_rows(events, 1)
        async with self._engine.connect() as connection:
            for table in self._tables:
                if found[table]:
                    await connection.execute(insert(metadata.tables[table]), found[table])
            found_rows = [(await connection.execute(statement)).all() for statement in statements]
        return cast("list[Sequence[ResultRow]]", found_rows)

    def close(self) -> None:
        """Close the connection and the loop."""
        self._runner.run(self._engine.dispose())
        self._runner.close()
