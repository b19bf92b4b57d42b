"""The ledger against a real Postgres: the position survives, and offsets only ever move forward."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from processing import ledger
from processing.batch import Batch
from processing.errors import OffsetRegressionError
from processing.ledger import TALLY, Entry, Position
from processing.store import Store
from tests.processing.builders import START_MS, at, batch_of, click, record

pytestmark = pytest.mark.integration


def clicks_of(first: int, count: int) -> Batch:
    return batch_of(record(click(f"e{offset}"), offset=offset) for offset in range(first, first + count))


def entry(epoch: int, first: int, count: int, watermark: datetime | None = None, applied: int | None = None) -> Entry:
    counts = dict.fromkeys(TALLY, 0) | {"records": count, "applied": count if applied is None else applied}
    times = {"clickstream-0": (START_MS + epoch, START_MS)}
    return Entry(epoch, datetime.now(UTC), clicks_of(first, count), counts, times, watermark)


def with_offsets(of: Entry, offsets: pa.Table) -> Entry:
    return replace(of, batch=replace(of.batch, offsets=offsets))


def write(store: Store, *entries: Entry) -> None:
    for each in entries:
        with store.transaction() as transaction:
            ledger.write_entry(transaction, each)


def books(store: Store) -> list[dict[str, object]]:
    with store.transaction() as transaction:
        rows: list[dict[str, object]] = transaction.query("SELECT * FROM books ORDER BY topic, partition").to_pylist()
    return rows


def test_before_the_first_epoch_the_position_is_zero(store: Store) -> None:
    with store.transaction() as transaction:
        assert ledger.read_position(transaction) == Position()


def test_the_position_is_read_back_as_it_was_written(store: Store) -> None:
    write(store, entry(1, 0, 3), entry(2, 3, 2, watermark=at(START_MS + 1)))
    with store.transaction() as transaction:
        assert ledger.read_position(transaction) == Position(
            2, at(START_MS + 1), {"clickstream-0": (START_MS + 2, START_MS)}, {"clickstream": {0: 5}}
        )
        assert ledger.watermark_before(transaction, 3) == at(START_MS + 1)
        assert ledger.watermark_before(transaction, 2) is None
        assert ledger.watermark_before(transaction, 1) is None


def test_the_offset_ranges_of_later_epochs_come_oldest_first(store: Store) -> None:
    write(store, entry(1, 0, 3), entry(2, 3, 2), entry(3, 5, 1))
    with store.transaction() as transaction:
        assert ledger.offset_ranges(transaction, 1) == [
            (2, {"clickstream": {0: (3, 5)}}),
            (3, {"clickstream": {0: (5, 6)}}),
        ]
        assert ledger.offset_ranges(transaction, 3) == []


@pytest.mark.parametrize("first", [0, 2], ids=["the same records again", "the last record again"])
def test_an_epoch_that_begins_before_the_end_is_refused_and_nothing_of_it_is_committed(
    store: Store, first: int
) -> None:
    write(store, entry(1, 0, 3))

    def run_epoch() -> None:
        with store.transaction() as transaction:
            transaction.execute("UPDATE totals SET late = 99")
            ledger.write_entry(transaction, entry(2, first, 3))

    with pytest.raises(OffsetRegressionError):
        run_epoch()
    with store.transaction() as transaction:
        assert ledger.read_position(transaction).epoch == 1
        assert transaction.query("SELECT late, records FROM totals").to_pylist() == [{"late": 0, "records": 3}]
    assert [(row["next_offset"], row["records"], row["gaps"]) for row in books(store)] == [(3, 3, 0)]


def test_one_regressed_partition_among_others_refuses_the_epoch(store: Store) -> None:
    write(store, entry(1, 0, 3))
    other = entry(2, 3, 2).batch.offsets.set_column(1, "partition", pa.array([1], pa.int32()))
    write(store, with_offsets(entry(2, 3, 2), other))
    with pytest.raises(OffsetRegressionError):
        write(store, with_offsets(entry(3, 3, 2), pa.concat_tables([entry(3, 3, 2).batch.offsets, other])))
    assert [(row["partition"], row["next_offset"]) for row in books(store)] == [(0, 3), (1, 5)]


def test_offsets_that_were_skipped_are_counted_as_a_gap(store: Store) -> None:
    write(store, entry(1, 4, 3), entry(2, 7, 1), entry(3, 10, 1))
    (row,) = books(store)
    assert (row["first_offset"], row["next_offset"], row["records"], row["gaps"]) == (4, 11, 5, 2)


def test_the_totals_are_the_sum_of_the_epochs(store: Store) -> None:
    write(store, entry(1, 0, 3, applied=2), entry(2, 3, 2))
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in TALLY)
    with store.transaction() as transaction:
        (summed,) = transaction.query(f"SELECT {sums} FROM epochs").to_pylist()
        (totals,) = transaction.query(f"SELECT {', '.join(TALLY)} FROM totals").to_pylist()
    assert totals == summed
    assert (totals["records"], totals["applied"]) == (5, 4)


def test_what_the_event_log_holds_is_noted_for_every_epoch_of_an_append(store: Store) -> None:
    write(store, entry(1, 0, 3), entry(2, 3, 2), entry(3, 5, 1))
    with store.transaction() as transaction:
        ledger.note_log(transaction, 2, version=8, rows=5)
        noted = transaction.query("SELECT epoch, log_version FROM epochs ORDER BY epoch").to_pylist()
        assert [row["log_version"] for row in noted] == [8, 8, None]
        ledger.note_log(transaction, 3, version=9, rows=1)
        noted = transaction.query("SELECT epoch, log_version FROM epochs ORDER BY epoch").to_pylist()
        assert [row["log_version"] for row in noted] == [8, 8, 9]
        assert transaction.query("SELECT log_epoch, log_rows FROM totals").to_pylist() == [
            {"log_epoch": 3, "log_rows": 6}
        ]


def residues(store: Store, spoil: str = "") -> dict[str, int]:
    with store.transaction() as transaction:
        if spoil:
            transaction.execute(spoil)
        return ledger.residues(transaction)


def test_the_books_are_off_by_nothing_until_they_are(store: Store) -> None:
    assert residues(store) == {"fates": 0, "offsets": 0, "gaps": 0, "log": 0, "accepted": 0}
    write(store, entry(1, 0, 3), entry(2, 3, 2))
    assert set(residues(store).values()) == {0}  # nothing is in the log, and nothing is said to be
    with store.transaction() as transaction:
        ledger.note_log(transaction, 2, 1, 5)
    assert set(residues(store).values()) == {0}
    assert residues(store, "UPDATE totals SET duplicates = 2")["fates"] == -2
    assert residues(store, "UPDATE books SET next_offset = next_offset + 3")["offsets"] == 3
    assert residues(store, "UPDATE books SET gaps = 4")["gaps"] == 4
    assert residues(store, "UPDATE totals SET log_rows = 3, erased = 1")["log"] == -1
    told = "INSERT INTO tallies VALUES ('clickstream', 7, 5, now()), ('transactions', 1, 9, now())"
    assert residues(store, told)["accepted"] == 2  # what one topic has too many makes up for nothing in another
    write(store, entry(3, 8, 2, applied=1))
    assert residues(store) == {"fates": -1, "offsets": 3, "gaps": 4, "log": -1, "accepted": 2}


def test_each_change_outside_of_an_epoch_is_another_token_and_one_that_fails_is_none(store: Store) -> None:
    def token() -> object:
        with store.transaction() as transaction:
            (row,) = transaction.query("SELECT token FROM last_change").to_pylist()
        return row["token"]

    def fail() -> None:
        with store.transaction() as transaction:
            ledger.tell_change(transaction)
            raise ZeroDivisionError

    seen = [token()]
    for _ in range(2):
        with store.transaction() as transaction:
            ledger.tell_change(transaction)
        seen.append(token())
    store.create_tables()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert token() == seen[-1]
    assert len(set(seen)) == 3
