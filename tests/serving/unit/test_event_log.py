"""Who may wait for the event log: a few operations, each with all of its roots."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from serving.errors import Unavailable
from serving.event_log import EventLog
from serving.queries.logged import News, Of, applied, arrivals
from serving.windows import Span
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
            await asyncio.wait_for(log.read(asked, "c"), 10)
        waiting.pop().cancel()
    assert [[row.event_id for row in await each] for each in waiting] == [["e-1"]] * 3
    assert [row.event_id for row in await log.read(asked, "c")] == ["e-1"]


@pytest.mark.parametrize("compacted", [False, True])
async def test_an_epoch_is_told_from_others_in_files_of_its_own_and_in_one_with_them(
    tmp_path: Path, compacted: bool
) -> None:
    events = [replace(EVENT, id=f"e-{epoch}") for epoch in (1, 2, 3)]
    for epoch in (1, 2, 3):
        write_log(tmp_path, events[:epoch], epoch, known=epoch - 1)
    if compacted:
        DeltaTable(str(tmp_path / "delta" / "events")).optimize.compact()
    log, day = EventLog(tmp_path / "delta", 2), Span(EVENT.at, EVENT.at + timedelta(hours=1))
    for after, through in ((0, 1), (0, 2), (1, 2), (1, 3), (2, 2)):
        found = await log.read(arrivals(News(day, Of(), after, through), None, 10), "a")
        assert [row.event_id for row in found] == [f"e-{epoch}" for epoch in range(after + 1, through + 1)]


async def test_a_log_that_is_not_there_is_unavailable_and_holds_nobody_up(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 1)
    for operation in ("a", "b"):
        with pytest.raises(Unavailable, match="cannot be read"):
            await log.read(applied("e-1", 1), operation)
