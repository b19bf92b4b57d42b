"""Crashes at every side effect of an epoch, and at any moment: whatever they take with them, no number changes.

A processor that is killed again and again, each start the recovery of the kill before; beside it one that nobody kills
reads the same records. In the end all that both have written is compared. Spark is left out: all it does is to read,
and a start without it takes a tenth of a second. `MILLRACE_KILLS` is how many kills at any moment there are.
"""

import os
import random
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pydantic import SecretStr

from contracts import projections, topics
from contracts.settings import KafkaSettings, PostgresSettings
from contracts.tables import metadata
from processing import failpoints
from processing.batch import EVENT_LOG
from processing.ledger import TALLY
from processing.maintenance.rolling import RollUps
from processing.metrics import EpochMetrics
from processing.results import ResultsPublisher
from processing.source import read_ranges
from processing.store import Store
from stack.kafka import create_topics
from tests.forked import FORKED
from tests.processing.builders import rejection
from tests.processing.expected import expected, without_epochs
from tests.processing.folding import ENGINE, PROJECTIONS, as_rows, joined
from tests.processing.integration.forked import arm
from tests.processing.integration.line import SHOP, Place
from tests.processing.integration.processor import eventually
from tests.processing.integration.reader import Reader
from tests.processing.integration.results_topic import last_results, published_rows
from tests.processing.integration.traffic import Traffic, now_ms, poison, visits

KILLS: Final = int(os.environ.get("MILLRACE_KILLS", "6"))

HOUR_MS: Final = 3_600_000
EPOCH_RECORDS: Final = 15
"""Of each partition, at most."""
QUEUED: Final = 20
"""Results that wait for the broker, at most: an epoch has more."""
FAILPOINTS: Final = [
    point
    for name, value in vars(failpoints).items()
    if name.isupper() and not name.startswith("_")
    for point in ([f"{value}:{each.name}" for each in PROJECTIONS] if value == failpoints.MERGED else [value])
]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(280 + 20 * KILLS)]

_WHEN: Final = {"epoch", "first_epoch", "last_epoch", "log_epoch", "log_id", "results_epoch"}
"""Columns that say in which epoch something happened: two processors cut the stream into other epochs."""
COMPARED: Final = (
    *projections.ALL,
    *(metadata.tables[name] for name in ("duplicates", "quarantine", "rejected_events", "books", "totals")),
)


def process(place: Place, failpoint: str | None, log_interval_seconds: float, at_most: int, *, publishes: bool) -> None:
    """A processor that reads what there is, in epochs; in a process of its own that may be killed at any time."""
    if failpoint is not None:
        name, turn = failpoint.split("@")
        arm(name, int(turn))
    store = Store(place.postgres)
    roll_ups = RollUps(store, PROJECTIONS, SHOP, EpochMetrics().maintenance, again_seconds=0)
    results = ResultsPublisher(place.kafka, most_queued=QUEUED) if publishes else None
    runner = place.runner(store, place.home / "delta", log_interval_seconds, roll_ups, results)
    while ranges := place.unread(runner.position.next_offsets, at_most):
        runner.run(runner.judge(read_ranges(place.kafka, ranges)))
        runner.roll_up()
    runner.flush_log()
    if results is not None:
        results.close()
    store.close()


@dataclass
class Line:
    """A processor's place, the process if there is one, and what it has written."""

    place: Place
    reader: Reader
    publishes: bool
    facts: dict[str, Any] = field(default_factory=dict)

    def start(
        self, failpoint: str | None = None, log_interval_seconds: float = 0.0, at_most: int = EPOCH_RECORDS
    ) -> Any:
        """Start it; it ends at the failpoint, or when it has read everything."""
        arguments = (self.place, failpoint, log_interval_seconds, at_most)
        started = FORKED.Process(target=process, args=arguments, kwargs={"publishes": self.publishes})
        started.start()
        return started

    def run(self, failpoint: str | None = None, at_most: int = EPOCH_RECORDS) -> int | None:
        """Start it and wait for its end; returns its exit code."""
        started = self.start(failpoint, at_most=at_most)
        started.join(120)
        return started.exitcode  # type: ignore[no-any-return]

    def has_moved_on(self, epoch: int) -> bool:
        """Whether an epoch after this one is committed."""
        return self.reader.epochs()[0] > epoch

    def logged_events(self) -> pa.Table:
        """The event log."""
        return DeltaTable(str(self.place.home / "delta" / "events")).to_pyarrow_table().select(EVENT_LOG.names)


class Shop:
    """Sends as many events each time as some epochs take. All times are counted from the test's beginning."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._dice = random.Random(5)
        self._began_ms = now_ms()
        self._bursts = 0

    def send(self, count: int) -> None:
        self._bursts += 1
        name = f"b{self._bursts}"
        self._traffic.send(visits(self._dice, name, count, self._began_ms, 120_000))
        if self._bursts > 1:  # the first epoch has set a watermark
            self._traffic.send(visits(self._dice, f"{name}-late", 5, self._began_ms - HOUR_MS, HOUR_MS), late=True)
        imported = visits(self._dice, f"{name}-old", 5, self._began_ms - 24 * HOUR_MS, 48 * HOUR_MS)
        self._traffic.send(imported, imported=True)
        self._traffic.reject([rejection(f"r{self._bursts}")])
        if self._bursts % 4 == 0:
            poison(self._traffic)
        self._traffic.flush()


@pytest.fixture(scope="module")
def crashed(kafka_bootstrap: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A processor after all its crashes, and in `facts` one beside it that had none."""
    lines = []
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix=f"t{uuid.uuid4().hex}-")
    create_topics(kafka_bootstrap, topics.ALL, kafka.topic_prefix)
    for name in ("crashed", "whole"):
        postgres = PostgresSettings(url=SecretStr(postgres_url), db_schema=f"t{uuid.uuid4().hex}")
        place = Place(kafka, postgres, tmp_path_factory.mktemp(name))
        lines.append(Line(place, Reader(postgres), publishes=name == "crashed"))
    line, whole = lines
    traffic = Traffic(kafka_bootstrap, kafka.topic_prefix)
    shop, dice = Shop(traffic), random.Random(6)
    shop.send(4 * EPOCH_RECORDS)
    assert whole.run(at_most=7 * EPOCH_RECORDS) == 0
    line.facts |= {"whole": whole, "traffic": traffic, "ends": {}, "kills": [], "behind": []}
    for number, point in enumerate(FAILPOINTS):
        shop.send(4 * EPOCH_RECORDS)
        line.facts["ends"][point] = line.run(f"{point}@{1 + number % 2}")
    for number in range(KILLS):
        shop.send(12 * EPOCH_RECORDS)
        before, *_ = line.reader.epochs()
        killed = line.start(log_interval_seconds=3600.0)  # the next one finds the log behind the ledger
        if number % 2:  # after a commit; else at any moment from the start on
            eventually(partial(line.has_moved_on, before), "a commit")
        killed.join(dice.uniform(0.0, 0.7))
        killed.kill()
        killed.join(30)
        epoch, logged, _ = line.reader.epochs()
        line.facts["kills"].append(killed.exitcode)
        line.facts["behind"].append(epoch - logged)
    assert [each.run(at_most=7 * EPOCH_RECORDS) for each in lines] == [0, 0]
    yield line
    for each in lines:
        each.reader.close()


def rows(line: Line, name: str) -> list[dict[str, Any]]:
    """A table's rows without what says when they came to be."""
    table = metadata.tables[name]
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in _WHEN)
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    return line.reader.query(f"SELECT {columns} FROM {name} ORDER BY {keys}")


def log_of(line: Line) -> pa.Table:
    places = [(name, "ascending") for name in ("topic", "partition", "offset")]
    return line.logged_events().sort_by(places)


def test_the_processor_ended_itself_at_every_failpoint(crashed: Line) -> None:
    assert crashed.facts["ends"] == dict.fromkeys(FAILPOINTS, -signal.SIGKILL)
    assert len(FAILPOINTS) == len(PROJECTIONS) + 7


def test_most_of_the_kills_came_in_the_middle_and_some_left_the_log_behind_the_ledger(crashed: Line) -> None:
    assert crashed.facts["kills"].count(-signal.SIGKILL) >= KILLS / 2
    assert max(crashed.facts["behind"]) > 0


def test_every_table_is_as_if_nothing_had_crashed(crashed: Line) -> None:
    for table in COMPARED:
        assert rows(crashed, table.name) == rows(crashed.facts["whole"], table.name), table.name


def test_the_event_log_is_as_if_nothing_had_crashed(crashed: Line) -> None:
    ours, others = log_of(crashed), log_of(crashed.facts["whole"])
    assert ours.drop_columns("epoch").equals(others.drop_columns("epoch"))


def test_no_crash_changed_what_the_oracle_says(crashed: Line) -> None:
    assert crashed.reader.totals() == crashed.facts["traffic"].totals
    assert min(crashed.facts["traffic"].totals[name] for name in TALLY) > 0
    assert without_epochs(crashed.reader.held()) == without_epochs(expected(crashed.facts["traffic"].rows()))


def test_epochs_have_no_gaps_and_the_log_holds_them_all_as_the_ledger_says(crashed: Line) -> None:
    epochs = crashed.reader.query("SELECT epoch, applied FROM epochs ORDER BY epoch")
    assert [row["epoch"] for row in epochs] == list(range(1, len(epochs) + 1))
    assert {row["gaps"] for row in crashed.reader.query("SELECT gaps FROM books")} == {0}
    epoch, log_epoch, log_rows = crashed.reader.epochs()
    log = log_of(crashed)
    assert (epoch, log_epoch, log_rows) == (len(epochs), len(epochs), log.num_rows)
    counts = log.group_by("epoch").aggregate([("epoch", "count")]).to_pylist()
    counted = {row["epoch"]: row["epoch_count"] for row in counts}
    assert counted == {row["epoch"]: row["applied"] for row in epochs if row["applied"]}


def test_the_tables_are_the_fold_of_the_log_to_the_epoch(crashed: Line) -> None:
    whole = {each.name: delta for each, delta in ENGINE.deltas(log_of(crashed), PROJECTIONS)}
    assert as_rows(joined(whole)) == crashed.reader.held()


def test_the_results_topic_ends_at_the_rows_of_the_tables(crashed: Line) -> None:
    results = last_results(crashed.place.kafka.bootstrap, crashed.place.kafka.topic_prefix)
    for table in projections.ALL:
        assert results[table.name] == published_rows(crashed.reader, table.name), table.name


def test_every_epochs_ids_are_remembered(crashed: Line) -> None:
    octets = [
        line.reader.query("SELECT sum(octet_length(ids))::bigint AS octets FROM seen_ids")
        for line in (crashed, crashed.facts["whole"])
    ]
    assert octets[0] == octets[1] == [{"octets": 14 * crashed.facts["traffic"].totals["applied"]}]
