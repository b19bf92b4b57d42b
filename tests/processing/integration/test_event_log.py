"""The Delta log: each epoch once, whatever is repeated; and Spark reads what delta-rs wrote."""

from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from deltalake.exceptions import DeltaError
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from processing.batch import EVENT_LOG
from processing.event_log import Appended, EventLog
from processing.log_description import COLUMNS, CONSTRAINTS, DESCRIPTION
from tests.processing.builders import START_MS, click, sale
from tests.processing.log_rows import Row, event_table, log_table, logged

pytestmark = pytest.mark.integration

DAY_MS = 86_400_000


@pytest.fixture
def event_log(tmp_path: Path) -> EventLog:
    event_log = EventLog(tmp_path, interval_seconds=3600)
    assert event_log.open() == 0
    return event_log


def reopened(event_log: EventLog) -> EventLog:
    again = EventLog(event_log.path, interval_seconds=0)
    again.open()
    return again


def test_a_new_log_is_empty(event_log: EventLog) -> None:
    assert (event_log.last_epoch(), event_log.count_rows(), event_log.flush()) == (0, 0, None)


def test_epochs_that_wait_are_appended_in_one_commit(event_log: EventLog) -> None:
    for epoch in (1, 2, 3):
        event_log.add(epoch, event_table([click(f"e{epoch}"), sale(f"t{epoch}")], epoch))
    assert event_log.flush() == Appended(epoch=3, version=2, rows=6)
    assert (event_log.last_epoch(), event_log.count_rows()) == (3, 6)
    assert event_log.flush() is None


def test_an_epoch_that_the_log_holds_is_not_appended_again(event_log: EventLog) -> None:
    event_log.add(1, event_table([click("a")], 1))
    event_log.flush()
    again = reopened(event_log)
    again.add(1, event_table([click("a")], 1))
    assert again.flush() is None
    again.add(1, event_table([click("a")], 1))
    again.add(2, event_table([click("b")], 2))
    assert again.flush() == Appended(epoch=2, version=3, rows=1)
    assert again.count_rows() == 2


def test_a_log_that_another_process_has_moved_on_is_seen_before_the_append(event_log: EventLog) -> None:
    event_log.add(1, event_table([click("a")], 1))
    other = reopened(event_log)
    other.add(1, event_table([click("a")], 1))
    other.flush()
    assert event_log.flush() is None
    assert event_log.count_rows() == 1


def test_an_epoch_without_events_moves_the_log_on(event_log: EventLog) -> None:
    event_log.add(1, event_table([], 1))
    assert event_log.flush() == Appended(epoch=1, version=2, rows=0)
    assert (event_log.last_epoch(), event_log.count_rows()) == (1, 0)


def test_the_log_is_found_again_as_it_was(event_log: EventLog) -> None:
    event_log.add(7, event_table([click()], 7))
    event_log.flush()
    again = reopened(event_log)
    assert (again.last_epoch(), again.count_rows()) == (7, 1)


def test_an_append_is_due_once_the_oldest_epoch_has_waited_for_the_interval(event_log: EventLog) -> None:
    due = []
    for step in (
        lambda: None,
        lambda: event_log.add(1, event_table([click()], 1)),
        lambda: setattr(event_log, "interval_seconds", 0),
        event_log.flush,
    ):
        step()
        due.append(event_log.is_due)
    assert due == [False, False, True, False]


def test_opening_forgets_what_waited_since_the_ledger_knows_it(event_log: EventLog) -> None:
    event_log.add(1, event_table([click()], 1))
    event_log.open()
    assert event_log.flush() is None


def test_spark_reads_the_rows_types_and_partitions_that_were_written(spark: SparkSession, event_log: EventLog) -> None:
    events = [
        click("a", properties={"k": "v", "": "日本"}, user_agent="UA"),
        click("b", product_id=None, category=None, page_url=None, timestamp=START_MS + DAY_MS),
        sale("c", order_id="o1", timestamp=START_MS + DAY_MS + 1),
    ]
    written = event_table(events, 1, frozenset({"b"}))
    event_log.add(1, written)
    event_log.flush()
    path = str(event_log.path / "events")
    table = spark.read.format("delta").load(path)
    read = table.orderBy("offset").toArrow()
    assert read.schema.names == EVENT_LOG.names
    assert read.schema.types == EVENT_LOG.types
    assert read.to_pylist() == written.to_pylist()
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0]
    assert (list(detail["partitionColumns"]), detail["numFiles"]) == (["date"], 2)
    assert table.where("date = '2026-03-01'").count() == 1


def test_spark_skips_an_append_that_the_log_holds_and_adds_its_own(spark: SparkSession, event_log: EventLog) -> None:
    event_log.add(1, event_table([click("a")], 1))
    event_log.flush()
    path = str(event_log.path / "events")
    rows = spark.createDataFrame(event_table([click("b")], 2))
    for epoch in (1, 2, 2):
        options = {"txnAppId": "millrace", "txnVersion": str(epoch)}
        rows.write.format("delta").mode("append").options(**options).save(path)
    again = reopened(event_log)
    assert (again.last_epoch(), again.count_rows()) == (2, 2)


BAD_ROWS: Final[dict[str, Row]] = {
    "event_id_not_empty": {"event_id": ""},
    "user_id_not_empty": {"user_id": ""},
    "amount_not_negative": {"amount": Decimal("-0.0001")},
    "quantity_positive": {"quantity": 0},
    "kind_known": {"kind": "gift"},
    "bot_score_in_range": {"bot_score": 101},
}


def test_every_constraint_has_its_bad_row() -> None:
    assert BAD_ROWS.keys() == CONSTRAINTS.keys()


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_row_that_breaks_a_constraint_is_refused_and_nothing_of_its_append_is_there(
    event_log: EventLog, name: str
) -> None:
    event_log.add(1, log_table([logged(click("good")), logged(sale("bad"), **BAD_ROWS[name])]))
    with pytest.raises(DeltaError, match="1 rows failed validation"):
        event_log.flush()
    assert reopened(event_log).count_rows() == 0


def test_spark_knows_what_columns_mean_and_keeps_to_the_constraints(spark: SparkSession, event_log: EventLog) -> None:
    event_log.add(1, event_table([click("a"), sale("b")], 1))
    event_log.flush()
    path = str(event_log.path / "events")
    comments = {row["col_name"]: row["comment"] for row in spark.sql(f"DESCRIBE TABLE delta.`{path}`").collect()}
    assert {name: comments[name] for name in EVENT_LOG.names} == COLUMNS
    assert spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0]["description"] == DESCRIPTION
    for row, refused in ((logged(sale("c")), False), (logged(click("d")), False), *bad_rows()):
        with pytest.raises(Py4JJavaError, match="DELTA_VIOLATE_CONSTRAINT") if refused else nullcontext():
            spark.createDataFrame(log_table([row])).write.format("delta").mode("append").save(path)
    assert spark.read.format("delta").load(path).count() == 4


def bad_rows() -> Iterator[tuple[Row, bool]]:
    for changes in BAD_ROWS.values():
        yield logged(sale("bad"), **changes), True
