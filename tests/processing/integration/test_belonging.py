"""A ledger and an event log that do not belong together are refused before anything is written, and told so."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from processing.errors import LogAheadError, OtherLogError
from tests.processing.builders import click
from tests.processing.expected import expected
from tests.processing.integration.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def lines(
    kafka_bootstrap: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Line, Line]]:
    """One of two epochs, and one of three of which the log has two."""
    short, long = (Line(kafka_bootstrap, postgres_url, tmp_path_factory.mktemp(name)) for name in ("short", "long"))
    for line, count in ((short, 2), (long, 3)):
        for epoch in range(count):
            line.epoch([click(f"e{epoch}")])
            if epoch < 2:
                line.flush()
    yield short, long
    for line in (short, long):
        line.close()


def start_with(line: Line, log_path: Path) -> None:
    own, line.log_path = line.log_path, log_path
    try:
        line.start()
    finally:
        line.log_path = own


def state(line: Line) -> tuple[object, object]:
    return line.query("SELECT * FROM totals"), len(line.logged())


def test_the_log_of_another_stack_is_refused_whether_it_is_ahead_or_behind(lines: tuple[Line, Line]) -> None:
    short, long = lines
    before = [state(line) for line in lines]
    with pytest.raises(OtherLogError, match="MILLRACE_LOG_PATH"):
        start_with(long, short.log_path)
    assert [state(line) for line in lines] == before
    long.start()  # appends the third epoch from Kafka
    with pytest.raises(LogAheadError, match="holds epochs through 3, but the ledger ends at 2"):
        start_with(short, long.log_path)
    assert state(short) == before[0]
    assert len(long.logged()) == 3


def test_tables_are_not_made_again_from_a_log_that_is_not_the_ledgers(lines: tuple[Line, Line]) -> None:
    short, long = lines
    held, others = short.held(), replace(short.place, home=long.place.home)
    with pytest.raises(LogAheadError, match="holds epochs through 3, but the ledger ends at 2"):
        others.rebuild()
    short.start()
    short.epoch([click("third")])
    with pytest.raises(OtherLogError):
        others.rebuild()
    with pytest.raises(OtherLogError):
        others.erase("u1")
    assert len(long.logged()) == 3
    assert short.query("SELECT events FROM site_minutes") == [{"events": 3}]
    assert held != short.held()


def test_without_a_store_nothing_is_made_from_a_log_with_epochs(lines: tuple[Line, Line]) -> None:
    _, long = lines
    empty = long.postgres.model_copy(update={"db_schema": f"{long.postgres.db_schema}x"})
    with pytest.raises(LogAheadError, match="holds epochs through 3, but the ledger ends at 0"):
        replace(long.place, postgres=empty).rebuild()


def test_a_lost_log_is_made_again_from_kafka_and_is_the_ledgers_own_from_then_on(lines: tuple[Line, Line]) -> None:
    (short, _), held = lines, lines[0].held()
    shutil.rmtree(short.log_path)
    short.start()
    assert short.held() == held == expected(short.logged())
    short.start()
    short.epoch([click("later")])
    short.flush()
    assert short.held() == expected(short.logged())
