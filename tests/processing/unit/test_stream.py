"""The hand-over between the query's thread and the one that stops it."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from contracts.settings import KafkaSettings
from processing.epoch import EpochRunner
from processing.metrics import EpochMetrics
from processing.settings import ProcessingSettings
from processing.stream import StoppingError, Stream

pytestmark = pytest.mark.unit


class Runner:
    """Counts the epochs it is given."""

    def __init__(self) -> None:
        self.epochs = 0

    def run(self, _decoded: object) -> None:
        self.epochs += 1


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def stream(runner: Runner, tmp_path: Path) -> Stream:
    settings = ProcessingSettings(checkpoint=tmp_path)
    spark, epochs = cast(Any, None), cast(EpochRunner, runner)
    return Stream(spark, epochs, settings, KafkaSettings(), EpochMetrics())


def test_an_epoch_that_begins_while_the_query_is_being_stopped_gives_up(stream: Stream, runner: Runner) -> None:
    # Whoever stops the query holds the lock and waits for the query's thread: to wait for the lock would be for ever.
    stopper = stream._epoch_running
    outcome: list[type[BaseException]] = []

    def epoch() -> None:
        try:
            stream._epoch(cast(Any, None), 0)
        except StoppingError as error:
            outcome.append(type(error))

    with stopper:
        thread = threading.Thread(target=epoch, daemon=True)
        thread.start()
        stream.stop()
        thread.join(5)
    assert outcome == [StoppingError]
    assert runner.epochs == 0


def test_no_epoch_begins_after_the_stop(stream: Stream, runner: Runner) -> None:
    stream._epoch(cast(Any, None), 0)
    stream.stop()
    with pytest.raises(StoppingError):
        stream._epoch(cast(Any, None), 1)
    assert runner.epochs == 1
    assert not stream._epoch_running.locked()
