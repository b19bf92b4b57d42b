"""Compaction of real Delta tables: fewer files, the same rows, whoever writes and reads meanwhile, wherever it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from pyspark.sql import SparkSession

from processing.event_log import APPLICATION, EventLog
from processing.log_files import LogFiles
from processing.maintenance import compaction
from processing.maintenance.compaction import PUT_TOGETHER, Compacted, Compaction, CompactionError, tables_below
from tests.processing.builders import START_MS, click
from tests.processing.log_rows import event_table

pytestmark = pytest.mark.integration

DAY_MS = 86_400_000
FIRST, SECOND, LAST = (date(2026, 3, day) for day in (1, 2, 3))


@pytest.fixture
def event_log(tmp_path: Path) -> EventLog:
    log = EventLog(tmp_path / "delta", 0.0)
    log.open()
    return log


def fill(log: EventLog, epochs: Iterable[int], days: Iterable[int] = (0, 1, 2)) -> None:
    """Append epochs one by one, of an event a day each."""
    for epoch in epochs:
        log.add(epoch, event_table((click(f"e{epoch}-{d}", timestamp=START_MS + d * DAY_MS) for d in days), epoch))
        log.flush()


def compact(log: EventLog, keep_hours: int = 1) -> Compacted:
    (told,) = Compaction(keep_hours, lambda *_: None).run(tables_below(log.path), log.path)
    return told


def table(log: EventLog) -> DeltaTable:
    return DeltaTable(str(log.path / "events"))


def held(log: EventLog) -> list[str]:
    return sorted(table(log).to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist())


def files_by_day(log: EventLog) -> list[int]:
    files = [uri.split("date=")[1][:10] for uri in table(log).file_uris()]
    return [files.count(day) for day in sorted(set(files))]


def test_small_files_of_every_day_but_the_newest_become_one(event_log: EventLog) -> None:
    fill(event_log, range(1, 4))
    before, version = held(event_log), table(event_log).version()
    told = compact(event_log)
    assert files_by_day(event_log) == [1, 1, 3]
    assert held(event_log) == before
    assert (told.table, told.files_before, told.files_after, told.put_together) == ("events", 9, 5, 6)
    assert len(told.days) == 2
    assert told.version >= version + 2
    assert (reopened(event_log).last_epoch(), reopened(event_log).count_rows()) == (3, 9)


@pytest.mark.parametrize(("epochs", "left"), [(15, 15), (16, 1)])
def test_the_newest_day_is_touched_once_it_has_many_small_files(event_log: EventLog, epochs: int, left: int) -> None:
    fill(event_log, range(1, epochs + 1), days=(0,))
    compact(event_log)
    assert files_by_day(event_log) == [left]


def test_where_there_is_nothing_to_do_nothing_is_committed(event_log: EventLog) -> None:
    fill(event_log, range(1, 3))
    compact(event_log)
    settled = compact(event_log)
    assert compact(event_log).version == settled.version


def test_statistics_of_the_files_still_say_which_epochs_they_hold(event_log: EventLog) -> None:
    fill(event_log, range(1, 4), days=(0, 1))
    compact(event_log)
    fill(event_log, (4,), days=(0, 1))
    log = LogFiles.of(event_log.path)
    assert (log.epoch, log.rows, len(log.files), len(log.after(3).files)) == (4, 8, 6, 2)


def test_the_stream_appends_and_readers_read_whole_commits_while_files_are_put_together(event_log: EventLog) -> None:
    epochs, faults, seen = 40, list[BaseException](), list[tuple[int, int]]()

    def stream() -> None:
        try:
            fill(event_log, range(1, epochs + 1))
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=stream)
    thread.start()
    rounds = 0
    while thread.is_alive():
        rounds += compact(event_log).put_together > 0
        read = table(event_log)
        seen.append((int(read.transaction_version(APPLICATION) or 0), read.to_pyarrow_table().num_rows))
    thread.join()
    assert faults == []
    assert rounds > 0
    assert all(rows == 3 * epoch for epoch, rows in seen)
    assert seen == sorted(seen)
    assert held(event_log) == sorted(f"e{epoch}-{day}" for epoch in range(1, epochs + 1) for day in range(3))
    assert event_log.last_epoch() == epochs


def test_an_erasure_that_was_first_stands_and_the_day_is_tried_again(event_log: EventLog) -> None:
    fill(event_log, range(1, 4))
    stale = table(event_log)
    (day, _) = compaction.due(stale)
    table(event_log).delete("event_id = 'e2-0'")
    assert Compaction(1, lambda *_: None)._put_together(stale, day) > 0
    assert "e2-0" not in held(event_log)
    assert len(held(event_log)) == 8


def test_a_day_that_others_rewrite_again_and_again_is_given_up_with_a_reason(
    event_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(event_log, range(1, 4))
    tries = []

    def lose(*_: object, **__: object) -> None:
        tries.append(1)
        raise CommitFailedError("somebody was first")

    monkeypatch.setattr("deltalake.table.TableOptimizer.compact", lose)
    with pytest.raises(CompactionError, match="rewritten by another"):
        compact(event_log)
    assert len(tries) == 5
    assert len(held(event_log)) == 9


def test_files_leave_the_disk_once_they_are_old_enough_and_a_reader_of_the_version_before_still_has_them(
    event_log: EventLog,
) -> None:
    fill(event_log, range(1, 4))
    before = table(event_log)
    old = sorted(Path(uri) for uri in before.file_uris())
    compact(event_log)
    assert before.to_pyarrow_table().num_rows == 9
    assert all(path.exists() for path in old)
    properties = {"delta.deletedFileRetentionDuration": "interval 0 hours"}
    table(event_log).alter.set_table_properties(properties)
    told = Compaction(0, lambda *_: None)._vacuum(table(event_log), dry_run=False)
    assert len(told) == 6
    assert len(held(event_log)) == 9


def test_what_a_killed_writer_has_left_goes_when_it_is_old_and_not_before(event_log: EventLog) -> None:
    fill(event_log, (1, 2))
    folder = Path(table(event_log).file_uris()[0]).parent
    young, old = folder / "young.parquet", folder / "old.parquet"
    for path in (young, old):
        path.write_bytes(b"half a file")
    an_hour_ago = old.stat().st_mtime - 3_601
    os.utime(old, (an_hour_ago, an_hour_ago))
    assert compact(event_log).deleted == 1
    assert (young.exists(), old.exists()) == (True, False)


def test_the_transaction_log_is_cut_and_the_epochs_are_still_known(event_log: EventLog) -> None:
    fill(event_log, range(1, 30))
    table(event_log).alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
    compact(event_log)
    compact(event_log)
    left = list((event_log.path / "events" / "_delta_log").glob("*.json"))
    assert len(left) < 5
    assert (reopened(event_log).last_epoch(), reopened(event_log).count_rows()) == (29, 87)
    fill(event_log, (30,))  # the stream's own handle, opened long before
    assert len(held(event_log)) == 90


def test_a_compaction_killed_after_any_commit_loses_nothing_and_is_ended_by_the_next(event_log: EventLog) -> None:
    fill(event_log, range(1, 4))
    before = held(event_log)
    killed = subprocess.run(
        [sys.executable, "-c", COMPACT, str(event_log.path)],
        env=os.environ | {"MILLRACE_FAILPOINTS": f"{PUT_TOGETHER}@1"},
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    assert held(event_log) == before
    assert files_by_day(event_log) == [1, 3, 3]
    assert (compact(event_log).put_together, files_by_day(event_log)) == (3, [1, 1, 3])
    assert held(event_log) == before
    assert reopened(event_log).last_epoch() == 3


COMPACT = """
import sys
from pathlib import Path
from processing.maintenance.compaction import Compaction, tables_below

root = Path(sys.argv[1])
Compaction(1, lambda *_: None).run(tables_below(root), root)
"""


def test_a_dry_run_tells_and_changes_nothing(event_log: EventLog) -> None:
    fill(event_log, range(1, 4))
    version = table(event_log).version()
    (told,) = Compaction(1, lambda *_: None).outline(tables_below(event_log.path), event_log.path)
    assert (len(told.days), told.put_together, told.deleted) == (2, 6, 0)
    assert (table(event_log).version(), files_by_day(event_log)) == (version, [3, 3, 3])


def test_spark_and_duckdb_read_what_was_put_together_and_spark_goes_on_writing(
    spark: SparkSession, event_log: EventLog
) -> None:
    fill(event_log, range(1, 4))
    compact(event_log)
    path, wanted = str(event_log.path / "events"), held(event_log)
    rows = spark.read.format("delta").load(path)
    assert sorted(row["event_id"] for row in rows.select("event_id").collect()) == wanted
    files = table(event_log).file_uris()
    read = duckdb.execute("SELECT event_id FROM read_parquet($files) ORDER BY 1", {"files": files}).fetchall()
    assert [row[0] for row in read] == wanted
    options = {"txnAppId": APPLICATION, "txnVersion": "3"}  # held already: skipped
    rows.limit(1).write.format("delta").mode("append").options(**options).save(path)
    assert held(event_log) == wanted
    compact(event_log)


def reopened(log: EventLog) -> EventLog:
    again = EventLog(log.path, 0.0)
    again.open()
    return again
