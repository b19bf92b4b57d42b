"""A lost store made again from the event log and Kafka: the same numbers, and the stream goes on from there."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from processing import definitions, ledger
from processing.errors import DefinitionsError, LogAheadError
from tests.conftest import execute
from tests.processing import visits as visitors
from tests.processing.builders import rejection
from tests.processing.expected import expected
from tests.processing.integration.line import PROJECTIONS, SHOP, Line, last_line

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

visits: Final = partial(visitors.visits, users=5, minutes=180)
CHANGED: Final = next(event for event in visits("a", 60) if "event_id" in event) | {"category": "another"}

_REMEMBERED: Final = {
    "epochs": "epoch, watermark, event_time_by_partition::text, records, applied, duplicates, conflicts, quarantined,"
    " late, imported",
    "books": "topic, partition, first_offset, next_offset, records, gaps, unknown",
    "totals": "epoch, records, applied, duplicates, conflicts, quarantined, late, imported, erased, log_rows,"
    " log_epoch, log_id",
    "seen_ids": "epoch, encode(ids, 'hex')",
    "duplicates": "*",
    "quarantine": "*",
}
"""What must come back of the ledger. Of the topic `rejected` the stream reads all again."""


@pytest.fixture
def new_line(kafka_bootstrap: str, postgres_url: str, tmp_path: Path) -> Iterator[Callable[[], Line]]:
    """Makes lines, of three epochs that the log has: every kind of record, copies with the same and another payload."""
    lines: list[Line] = []

    def make() -> Line:
        line = Line(kafka_bootstrap, postgres_url, tmp_path / str(len(lines)))
        lines.append(line)
        line.send(visits("b", 40), partition=1)
        line.epoch(visits("a", 60))
        line.send_raw("clickstream", b"no event")
        line.send([*visits("b", 3), *visits("d", 20)], partition=1)
        line.epoch([*visits("a", 5), CHANGED, *visits("c", 40)])
        line.epoch([*visits("a", 1), *visits("e", 20)])
        line.flush()
        return line

    yield make
    for line in lines:
        line.close()


def remembered(line: Line) -> dict[str, list[dict[str, Any]]]:
    """The ledger's rows, without the partitions of the topic `rejected`."""
    where = {"books": "WHERE topic <> 'rejected'"}
    return {
        name: sorted(line.query(f"SELECT {columns} FROM {name} {where.get(name, '')}"), key=str)
        for name, columns in _REMEMBERED.items()
    }


def lose(line: Line) -> None:
    line.store.close()
    execute(line.postgres.url.get_secret_value(), f'DROP SCHEMA "{line.postgres.db_schema}" CASCADE')


def restore(line: Line) -> dict[str, Any]:
    called = line.call("restore", "--json")
    assert called.exit_code == 0, called.stderr
    told: dict[str, Any] = json.loads(last_line(called))
    return told


def residues(line: Line) -> dict[str, int]:
    with line.store.transaction() as transaction:
        return ledger.residues(transaction)


def test_everything_comes_back_and_what_follows_is_neither_lost_nor_counted_twice(
    new_line: Callable[[], Line],
) -> None:
    line = new_line()
    tables, before = line.held(), remembered(line)
    assert min(before["totals"][0][name] for name in ("applied", "duplicates", "conflicts", "quarantined")) > 0
    line.send([rejection("r1"), rejection("r2")])
    line.epoch(visits("lost", 10))  # in the ledger, and not in the log
    lose(line)

    told = restore(line)
    assert (told["epoch"], told["unknown"], told["rebuilt"]["swapped_epoch"]) == (3, 0, 3)
    assert line.held() == tables
    assert remembered(line) == before

    line.start()
    line.epoch([*visits("a", 60), *visits("f", 20), CHANGED])
    line.flush()
    applied = before["totals"][0]["applied"] + 10 + 20
    assert line.query("SELECT applied, duplicates - $1 AS copies FROM totals", before["totals"][0]["duplicates"]) == [
        {"applied": applied, "copies": 61}
    ]
    assert line.held() == expected(line.logged())
    assert len(line.logged()) == applied
    assert line.query("SELECT count(*) AS n FROM rejected_events") == [{"n": 2}]
    assert set(residues(line).values()) == {0}
    verified = line.call("verify", "--all", "--json")
    assert verified.exit_code == 0, verified.stdout + verified.stderr


def test_of_what_kafka_no_longer_has_the_books_say_so_and_close(new_line: Callable[[], Line]) -> None:
    line = new_line()
    tables, before = line.held(), remembered(line)
    begin = max(row["offset"] for row in line.logged() if row["topic"] == "clickstream" and row["partition"] == 0) - 3
    admin = AdminClient({"bootstrap.servers": line.kafka.bootstrap})
    place = TopicPartition(f"{line.kafka.topic_prefix}clickstream", 0, begin)
    for future in admin.delete_records([place]).values():
        future.result(20)
    lose(line)
    told = restore(line)
    unknown = {
        (row["topic"], row["partition"]): row["unknown"] for row in line.query("SELECT * FROM books WHERE unknown > 0")
    }
    (was,), (now,) = before["totals"], remembered(line)["totals"]
    gone = sum(was[name] - now[name] for name in ("duplicates", "quarantined"))
    assert unknown == {("clickstream", 0): gone}
    assert told["unknown"] == gone > 0
    assert line.held() == tables
    line.start()
    line.epoch(visits("f", 20))
    line.flush()
    assert line.held() == expected(line.logged())
    assert set(residues(line).values()) == {0}


def test_until_the_projections_are_made_nothing_starts_and_a_ledger_that_is_there_is_not_replaced(
    new_line: Callable[[], Line],
) -> None:
    line = new_line()
    tables = line.held()
    lose(line)
    definitions.prepare(line.store, PROJECTIONS, SHOP)  # as a start does, before it finds the log ahead
    with pytest.raises(LogAheadError, match="`millrace restore`"):
        line.start()
    with pytest.raises(LogAheadError, match="`millrace restore`"):
        line.place.rebuild()
    line.store.close()
    line.place.restore()
    with pytest.raises(DefinitionsError, match="`millrace rebuild`"):
        line.start()
    line.store.close()
    again = line.call("restore")
    assert (again.exit_code, "has a ledger, through epoch 3" in again.stderr) == (2, True)
    line.place.rebuild()
    line.start()
    assert line.held() == tables
