"""Between the query's thread and the one that folds: a batch is handed over as Arrow, none begins after a stop."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from pydantic import ValidationError
from pyspark.sql.streaming.listener import StreamingQueryProgress
from pyspark.sql.streaming.query import StreamingQuery

from contracts.settings import KafkaSettings, PostgresSettings
from processing.epoch import EpochRunner
from processing.ledger import Position
from processing.metrics import EpochMetrics
from processing.settings import ProcessingSettings
from processing.stream import StoppingError, Stream
from processing.tallies import TallyWatch
from tests.processing.builders import click, record, records_table

pytestmark = pytest.mark.unit

RECORDS = records_table([record(click())])


class Runner:
    """Notes the epochs it is given, and where."""

    def __init__(self) -> None:
        self.epochs: list[tuple[pa.Table, float, int]] = []
        self.judged_by: list[int] = []
        """The threads that judged."""
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.log_is_due = False
        self.position = Position()
        self.has_more_to_roll_up = False
        self.roll_ups: list[int] = []
        """Where each was asked for."""

    def roll_up(self) -> None:
        self.roll_ups.append(threading.get_ident())

    def judge(self, records: pa.Table, read_seconds: float) -> tuple[pa.Table, float]:
        self.judged_by.append(threading.get_ident())
        return records, read_seconds

    def run(self, judged: tuple[pa.Table, float]) -> None:
        self.epochs.append((*judged, threading.get_ident()))
        self.may_go_on.wait(5)


class MicroBatch:
    """What Spark hands over."""

    def toArrow(self) -> pa.Table:
        return RECORDS


class Query:
    """A query that is looked at so many times and then stopped."""

    recentProgress: tuple[StreamingQueryProgress, ...] = ()  # noqa: N815 - Spark's name

    def __init__(self, stream: Stream, looks: int) -> None:
        self.waits: list[float] = []
        self._stream = stream
        self._looks = looks

    def awaitTermination(self, seconds: float) -> bool:
        self.waits.append(seconds)
        time.sleep(0.1)
        self._looks -= 1
        if self._looks == 0:
            self._stream.stop()
        return False


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def stream(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stream:
    settings = ProcessingSettings(checkpoint=tmp_path)
    spark, epochs = cast(Any, None), cast(EpochRunner, runner)
    tallies = TallyWatch(KafkaSettings(), PostgresSettings())
    monkeypatch.setattr(tallies, "look", lambda: None)
    return Stream(spark, epochs, settings, KafkaSettings(), EpochMetrics(), tallies=tallies)


def take(stream: Stream) -> None:
    stream._take(stream._handover, cast(Any, MicroBatch()), 0)


def test_a_micro_batch_is_read_and_judged_by_the_query_and_folded_by_another(stream: Stream, runner: Runner) -> None:
    take(stream)
    stream._handover.close()
    ((records, read_seconds, thread),) = runner.epochs
    assert records == RECORDS
    assert read_seconds >= 0
    assert runner.judged_by == [threading.get_ident()]
    assert thread != threading.get_ident()


def test_an_empty_micro_batch_is_no_epoch(stream: Stream, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MicroBatch, "toArrow", lambda _: RECORDS.slice(0, 0))
    take(stream)
    stream._handover.close()
    assert not runner.epochs
    assert not runner.judged_by


def test_the_next_micro_batch_is_read_while_the_one_before_is_folded(stream: Stream, runner: Runner) -> None:
    runner.may_go_on.clear()
    take(stream)  # returns though the epoch has not ended
    runner.may_go_on.set()
    take(stream)
    stream._handover.close()
    assert len(runner.epochs) == 2


def test_no_epoch_begins_after_the_stop(stream: Stream, runner: Runner) -> None:
    take(stream)
    stream.stop()
    with pytest.raises(StoppingError):
        take(stream)
    stream._handover.close()
    assert len(runner.epochs) == 1


def test_a_fault_of_an_epoch_ends_the_query_with_that_fault(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stream._runner, "run", fail)
    take(stream)
    with pytest.raises(ZeroDivisionError):
        take(stream)


def test_every_run_has_an_empty_checkpoint_of_its_own(stream: Stream, tmp_path: Path) -> None:
    (tmp_path / "run-1-7").mkdir()
    (tmp_path / "run-1-7" / "metadata").write_bytes(b"garbled by a full disk")
    first = stream._fresh_checkpoint()
    (first / "offsets").mkdir()
    second = stream._fresh_checkpoint()
    assert first != second
    assert list(tmp_path.iterdir()) == [second]
    assert list(second.iterdir()) == []


def test_a_checkpoint_folder_that_holds_other_things_keeps_them(stream: Stream, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    folder = stream._fresh_checkpoint()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "photos", folder]


def test_a_file_where_the_checkpoint_should_be_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"")
    with pytest.raises(ValidationError, match="is not a folder"):
        ProcessingSettings(checkpoint=tmp_path / "checkpoint")


def test_faults_are_waited_for_longer_each_time_until_an_epoch_has_got_through(
    stream: Stream, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, pauses = iter((0, 0, 0, 1, 1, 2)), []

    def fail() -> None:
        runner.position = replace(runner.position, epoch=next(epochs))
        raise ZeroDivisionError

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            stream.stop()

    monkeypatch.setattr(stream, "_run_query", fail)
    monkeypatch.setattr(stream._stopping, "wait", wait)
    stream.run()
    assert pauses == [1, 2, 4, 1, 2, 1]


def watch(stream: Stream, looks: int) -> None:
    stream._watch(cast(StreamingQuery, Query(stream, looks)))


def test_between_epochs_roll_ups_are_made_by_the_thread_that_folds(stream: Stream, runner: Runner) -> None:
    take(stream)
    stream._handover._under_way.result()  # type: ignore[union-attr]  # the epoch is done
    watch(stream, looks=3)
    stream._handover.close()
    assert runner.roll_ups == [runner.epochs[0][2]] * 3


def test_while_there_is_more_to_roll_up_the_next_step_follows_at_once(stream: Stream, runner: Runner) -> None:
    runner.has_more_to_roll_up = True
    query = Query(stream, looks=2)
    stream._watch(cast(StreamingQuery, query))
    runner.has_more_to_roll_up = False
    stream._stopping.clear()
    later = Query(stream, looks=1)
    stream._watch(cast(StreamingQuery, later))
    stream._handover.close()
    assert max(query.waits) < 0.1
    assert later.waits == [1.0]


@pytest.mark.parametrize(("waited", "made"), [(4.0, 0), (6.0, 1)])
def test_where_epochs_leave_no_pause_roll_ups_take_one_after_a_while(
    stream: Stream, runner: Runner, waited: float, made: int
) -> None:
    runner.may_go_on.clear()
    take(stream)
    stream._rolled_up_at -= waited
    threading.Timer(0.2, runner.may_go_on.set).start()
    watch(stream, looks=1)
    stream._handover.close()
    assert len(runner.roll_ups) == made
