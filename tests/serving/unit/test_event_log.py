"""Who may wait for the event log: a few operations, each with all of its roots."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.errors import Unavailable
from serving.event_log import EventLog
from serving.queries.logged import applied
from tests.serving.event_log import write_log
from tests.serving.events import Event

pytestmark = pytest.mark.unit

EVENT = Event(datetime(2026, 3, 1, 12, tzinfo=UTC), "e-1", "u-1", "s-1", "view")


async def test_only_a_few_operations_wait_each_with_all_of_its_roots(tmp_path: Path) -> None:
    write_log(tmp_path, [EVENT], 1)
    log, asked = EventLog(tmp_path / "delta", 2), applied("e-1", 1)
    async with log._turn:  # somebody reads
        waiting = [asyncio.create_task(log.read(asked, operation)) for operation in ("a", "a", "b", "a")]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="for others"):
            await log.read(asked, "c")
        waiting.pop().cancel()
    assert [[row.event_id for row in await each] for each in waiting] == [["e-1"]] * 3
    assert [row.event_id for row in await log.read(asked, "c")] == ["e-1"]


async def test_a_log_that_is_not_there_is_unavailable_and_holds_nobody_up(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 1)
    for operation in ("a", "b"):
        with pytest.raises(Unavailable, match="cannot be read"):
            await log.read(applied("e-1", 1), operation)
