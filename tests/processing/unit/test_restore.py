"""What a restore reads off an event log: ids and copies as dedupe saw them, and what is to be read again."""

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from processing.batch import event_rows
from processing.dedupe import Deduplicated, deduplicate
from processing.event_log import EventLog
from processing.log_files import LogFiles, open_duck
from processing.packed_ids import Ids
from processing.recent_ids import RecentIds
from processing.restore.lines import lines
from processing.restore.logged import Hole, Logged, Part, spans
from processing.watermark import PartitionTimes, observe
from tests.processing.builders import START_MS, Record, batch_of, record
from tests.processing.integration.line import ENRICHER
from tests.processing.integration.traffic import visits

pytestmark = pytest.mark.unit

EPOCHS: Final = 4


@pytest.fixture(scope="module")
def told() -> tuple[list[Record], dict[int, Deduplicated]]:
    """Records of one partition per topic, and what dedupe made of each epoch's."""
    records, found, recent, ends = [], {}, RecentIds(), {"clickstream": 0, "transactions": 0}
    for epoch in range(1, EPOCHS + 1):
        of_epoch = []
        if epoch == EPOCHS:
            recent.forget(2)  # what the second epoch applied is applied again: it has the horizon behind it
        for event in visits(random.Random(epoch), f"n{epoch % 2}", 300, START_MS, 100_000):
            topic = record(event).topic
            of_epoch.append(record(event, offset=ends[topic], log_ms=START_MS + epoch))
            ends[topic] += 1
        found[epoch] = deduplicate(recent, batch_of(of_epoch).events, epoch)
        recent.add(epoch, found[epoch].fresh)
        records += of_epoch
    return records, found


@pytest.fixture
def logged(told: tuple[list[Record], dict[int, Deduplicated]], tmp_path: Path) -> Iterator[Logged]:
    log = EventLog(tmp_path / "delta", 0.0)
    log.open()
    for epoch, of_epoch in told[1].items():
        log.add(epoch, event_rows(of_epoch.first, epoch, None, ENRICHER))
        log.flush()
    with open_duck(tmp_path / "duck", threads=1, memory="500MB") as duck:
        yield Logged(duck, LogFiles.of(tmp_path / "delta"))


def octets(ids: Ids) -> bytes:
    return ids.pack()


def test_ids_are_those_that_dedupe_remembers_to_the_byte(
    told: tuple[list[Record], dict[int, Deduplicated]], logged: Logged
) -> None:
    wanted = {epoch: octets(of_epoch.fresh) for epoch, of_epoch in told[1].items() if len(of_epoch.fresh)}
    assert {epoch: octets(ids) for epoch, ids in logged.ids(0)} == wanted
    newest = {epoch: octets(ids) for epoch, ids in logged.ids(START_MS + EPOCHS - 1)}
    assert newest == {EPOCHS: wanted[EPOCHS]}


def test_what_lies_between_the_events_is_told_as_dedupe_told_it(
    told: tuple[list[Record], dict[int, Deduplicated]], logged: Logged
) -> None:
    records, found = told
    holes = logged.find_holes(dict.fromkeys(logged.first_offsets(), 0))
    assert logged.take(batch_of(records)).num_rows == 0
    duplicates = {(row["topic"], row["offset"]): row for row in logged.duplicates().to_pylist()}
    wanted = {
        (row["topic"], row["offset"]): (row["event_id"], row["conflict"], row["first_epoch"])
        for of_epoch in found.values()
        for row in of_epoch.duplicates.to_pylist()
        if any(hole.partition[0] == row["topic"] and hole.first <= row["offset"] < hole.until for hole in holes)
    }
    assert {
        place: (row["event_id"], row["conflict"], row["first_epoch"]) for place, row in duplicates.items()
    } == wanted
    assert sum(hole.until - hole.first for hole in holes) == len(wanted) > 50
    assert {conflict for _, conflict, _ in wanted.values()} == {True, False}


def test_times_of_partitions_are_those_that_the_stream_had(
    told: tuple[list[Record], dict[int, Deduplicated]], logged: Logged
) -> None:
    entries = lines(
        logged.parts(),
        logged.first_offsets(),
        {},
        last_epoch=EPOCHS + 1,  # it applied nothing
        allowed_lateness=timedelta(minutes=5),
        idle=timedelta(minutes=1),
    )
    times: PartitionTimes = {}
    for of_epoch in told[1].values():
        times = observe(times, of_epoch.first)
    assert entries["epoch"].to_pylist() == [*range(1, EPOCHS + 2)]
    assert entries["applied"].to_pylist() == [*(each.first.num_rows for each in told[1].values()), 0]
    told_last = json.loads(entries["event_time_by_partition"].to_pylist()[-1])
    assert told_last == {name: list(newest) for name, newest in times.items()}


def test_near_holes_are_read_together_and_large_ones_in_parts() -> None:
    one, other = ("clickstream", 0), ("clickstream", 1)
    holes = [Hole(one, 0, 1), Hole(one, 5, 8), Hole(one, 12, 13), Hole(other, 3, 26)]
    assert [
        (partition, *span) for ranges in spans(holes, 10) for of in ranges.values() for partition, span in of.items()
    ] == [(0, 0, 8), (0, 12, 13), (1, 3, 13), (1, 13, 23), (1, 23, 26)]


def test_an_epoch_reads_from_where_the_one_before_it_ended() -> None:
    parts = [
        Part(1, "clickstream", 0, 5, 4, 0, 0, START_MS, START_MS),
        Part(3, "clickstream", 0, 9, 3, 1, 0, START_MS + 1, START_MS + 1),
    ]
    entries = lines(
        parts, {("clickstream", 0): 0}, {}, last_epoch=3, allowed_lateness=timedelta(), idle=timedelta(minutes=1)
    )
    assert entries["offsets"].to_pylist() == ['{"clickstream": {"0": [0, 5]}}', '{"clickstream": {"0": [5, 9]}}']
    assert (entries["late"].to_pylist(), entries["records"].to_pylist()) == ([0, 1], [4, 3])
