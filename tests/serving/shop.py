"""A small shop written into the serving store as processing would write it, and its events kept for the oracle.

The rows are made from the contract of the tables alone (`tests.serving.rows`); tests count the events afresh, so that
neither serving's SQL nor those sums are taken on trust.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import delete, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import contracts.alerts
import contracts.models
import contracts.projections
import contracts.rollups  # noqa: F401 - they join the metadata
from contracts.tables import NOTIFY_CHANNEL, metadata
from tests.serving.events import Event, Refusal, Repeat
from tests.serving.rows import projection_rows

LATENESS = timedelta(minutes=5)


@dataclass
class Shop:
    """What has happened so far; `commit` makes it the state of the store as of one more epoch."""

    events: list[Event] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    duplicates: list[Repeat] = field(default_factory=list)
    epoch: int = 0
    committed_at: datetime | None = None
    """Of the epochs to come; None for the database's clock."""

    @property
    def people(self) -> list[Event]:
        """The events that are no bot's."""
        return [event for event in self.events if not event.bot]

    @property
    def watermark(self) -> datetime | None:
        return max(event.at for event in self.events) - LATENESS if self.events else None

    async def commit(self, connection: AsyncConnection) -> None:
        """Write everything as one epoch and tell, within the caller's transaction."""
        self.epoch += 1
        for table in reversed(metadata.sorted_tables):
            if table.name != "epochs":
                await connection.execute(delete(table))
        for name, rows in self._rows().items():
            if rows:
                await connection.execute(insert(metadata.tables[name]), rows)
        await connection.execute(
            text("SELECT pg_notify(:channel, :epoch)"), {"channel": NOTIFY_CHANNEL, "epoch": str(self.epoch)}
        )

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        return {
            **projection_rows(self.events, self.epoch),
            "rejected_events": [self._rejected(n, one) for n, one in enumerate(self.refusals) if one.source],
            "quarantine": [self._quarantined(n, one) for n, one in enumerate(self.refusals) if not one.source],
            "duplicates": [self._duplicate(n, one) for n, one in enumerate(self.duplicates)],
            **self._ledger(),
        }

    def _ledger(self) -> dict[str, list[dict[str, Any]]]:
        rejected = sum(one.source is not None for one in self.refusals)
        sums = {
            "records": len(self.events) + len(self.refusals) + len(self.duplicates),
            "applied": len(self.events),
            "duplicates": len(self.duplicates),
            "conflicts": sum(one.conflict for one in self.duplicates),
            "quarantined": len(self.refusals) - rejected,
            "rejected": rejected,
            "late": sum(event.late for event in self.events),
            "imported": 0,
        }
        now = self.committed_at or datetime.now(UTC)
        epoch: dict[str, Any] = {
            "epoch": self.epoch,
            "started_at": now - timedelta(milliseconds=800),
            "committed_at": now,
            "offsets": {},
            "newest_log_time": now - timedelta(milliseconds=900),
            "event_time_by_partition": {},
            "watermark": self.watermark,
            **sums,
        }
        return {
            "epochs": [epoch],
            "totals": [{"epoch": self.epoch, **sums, "log_rows": sums["applied"], "log_epoch": self.epoch}],
            "last_change": [{"singleton": True}],
            "books": [
                {
                    "topic": "clickstream",
                    "partition": 0,
                    "first_offset": 7,
                    "next_offset": 7 + sums["records"],
                    "records": sums["records"],
                }
            ],
        }

    def _rejected(self, number: int, one: Refusal) -> dict[str, Any]:
        return {
            "topic": "rejected",
            "partition": 0,
            "offset": number,
            "epoch": one.epoch or self.epoch,
            "rejection_id": f"r-{number}",
            "received_at": one.at,
            "source": one.source,
            "reason": one.reason,
            "pointer": one.pointer,
            "detail": one.detail,
            "content_type": "application/json",
            "event_id": one.event_id,
            "raw": one.raw,
            "truncated": False,
        }

    def _duplicate(self, number: int, one: Repeat) -> dict[str, Any]:
        return {
            "topic": "clickstream",
            "partition": number % 2,
            "offset": 1000 + number,
            "epoch": one.epoch or self.epoch,
            "event_id": one.event_id,
            "conflict": one.conflict,
            "first_epoch": (one.epoch or self.epoch) - 1,
        }

    def _quarantined(self, number: int, one: Refusal) -> dict[str, Any]:
        return {
            "topic": "clickstream",
            "partition": 0,
            "offset": number,
            "epoch": one.epoch or self.epoch,
            "log_time": one.at,
            "reason": one.reason,
            "raw": one.raw,
        }


def engine(url: str, schema: str) -> AsyncEngine:
    """A connection for the writer, with its schema as search path."""
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, server_settings={"search_path": schema}),
        pool_size=1,
    )


async def create_tables(url: str, schema: str) -> None:
    """A fresh schema with the tables of the contract."""
    writer = engine(url, schema)
    async with writer.begin() as connection:
        await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        await connection.run_sync(metadata.create_all, checkfirst=False)
    await writer.dispose()


async def write(url: str, schema: str, shop: Shop) -> None:
    """Commit the shop's state as one more epoch."""
    writer = engine(url, schema)
    async with writer.begin() as connection:
        await shop.commit(connection)
    await writer.dispose()
