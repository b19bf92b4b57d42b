"""Dedupe against a real Postgres: each id counts once, and a replayed epoch decides as it did."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing import ledger
from processing.batch import sort_records
from processing.dedupe import Deduplicated, applied_before, deduplicate, forget, keep_duplicates
from processing.ledger import TALLY, Entry
from processing.store import Store
from tests.processing.builders import START_MS, Event, at, click, decoded_table, id_of, sale, streams, topic_of

pytestmark = pytest.mark.integration


class Epochs:
    """Runs dedupe as an epoch does; offsets go on from epoch to epoch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = 0
        self._epoch = 0
        self.tables = [decoded_table([])]

    def run(self, events: Sequence[Event]) -> Deduplicated:
        table = decoded_table(events, first_offset=self._offset)
        self._offset += len(events)
        self._epoch += 1
        self.tables.append(table)
        with self._store.transaction() as transaction:
            told = deduplicate(transaction, table, self._epoch)
            keep_duplicates(transaction, told.duplicates)
            counts = dict.fromkeys(TALLY, len(events))
            batch = sort_records(table)
            ledger.write_entry(transaction, Entry(self._epoch, at(START_MS), batch, counts, {}, None))
        return told

    def replay(self, epoch: int) -> pa.Table:
        with self._store.transaction() as transaction:
            return applied_before(transaction, self.tables[epoch], epoch)


def offsets(applied: pa.Table) -> list[int]:
    return sorted(applied["offset"].to_pylist())


def test_the_same_id_in_one_epoch_counts_at_its_first_offset(store: Store) -> None:
    told = Epochs(store).run([click("a"), click("b"), click("a"), click("a")])
    assert offsets(told.first) == [0, 1]
    assert [
        (row["offset"], row["event_id"], row["conflict"], row["first_epoch"], row["first_offset"])
        for row in told.duplicates.sort_by("offset").to_pylist()
    ] == [(2, "a", False, 1, 0), (3, "a", False, 1, 0)]


def test_the_same_id_in_a_later_epoch_is_a_duplicate_of_the_first(store: Store) -> None:
    epochs = Epochs(store)
    epochs.run([click("a")])
    told = epochs.run([click("b"), click("a")])
    assert offsets(told.first) == [1]
    (row,) = told.duplicates.to_pylist()
    assert (row["epoch"], row["offset"], row["first_epoch"], row["first_offset"]) == (2, 2, 1, 0)


def test_the_same_id_in_both_topics_is_two_events(store: Store) -> None:
    told = Epochs(store).run([click("a"), sale("a")])
    assert told.first.num_rows == 2
    assert told.duplicates.num_rows == told.conflicts == 0


def test_the_same_id_with_another_payload_is_a_conflict_and_the_first_stands(store: Store) -> None:
    epochs = Epochs(store)
    told = epochs.run([sale("a", quantity=1), sale("a", quantity=2), sale("a", quantity=1)])
    assert told.first["quantity"].to_pylist() == [1]
    assert told.duplicates.sort_by("offset")["conflict"].to_pylist() == [True, False]
    assert told.conflicts == 1
    assert epochs.run([sale("a", quantity=2)]).conflicts == 1


def test_duplicates_are_written_down(store: Store) -> None:
    epochs = Epochs(store)
    epochs.run([click("a"), click("a", user_id="other")])
    epochs.run([click("a")])
    with store.transaction() as transaction:
        rows = transaction.query('SELECT epoch, "offset", conflict FROM duplicates ORDER BY "offset"').to_pylist()
    assert [tuple(row.values()) for row in rows] == [(1, 1, True), (2, 2, False)]


def test_a_replayed_epoch_decides_the_same_and_writes_nothing(store: Store) -> None:
    epochs = Epochs(store)
    first = epochs.run([click("a"), click("b"), click("a")])
    epochs.run([click("a"), click("c")])
    for _ in range(2):
        assert offsets(epochs.replay(1)) == offsets(first.first) == [0, 1]
        assert offsets(epochs.replay(2)) == [4]
    with store.transaction() as transaction:
        assert transaction.query("SELECT count(*) AS n FROM recent_ids").to_pylist() == [{"n": 3}]


def test_a_replay_decides_the_same_even_if_the_ids_have_been_forgotten(store: Store) -> None:
    epochs = Epochs(store)
    epochs.run([click("a"), click("a")])
    epochs.run([click("a"), click("b")])
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM recent_ids")
    assert offsets(epochs.replay(1)) == [0]
    assert offsets(epochs.replay(2)) == [3]


@pytest.mark.parametrize(
    ("age_seconds", "applied"), [(3590, 0), (3610, 1)], ids=["within the horizon", "beyond the horizon"]
)
def test_an_id_is_forgotten_beyond_the_horizon_and_not_before(store: Store, age_seconds: int, applied: int) -> None:
    epochs = Epochs(store)
    epochs.run([click("a")])
    with store.transaction() as transaction:
        transaction.execute(
            "UPDATE epochs SET committed_at = clock_timestamp() - make_interval(secs => $1)", (float(age_seconds),)
        )
        forget(transaction, 3600)
    assert epochs.run([click("a")]).first.num_rows == applied


def test_forgetting_leaves_younger_epochs_alone(store: Store) -> None:
    epochs = Epochs(store)
    epochs.run([click("old")])
    with store.transaction() as transaction:
        transaction.execute("UPDATE epochs SET committed_at = clock_timestamp() - interval '2 hours'")
    epochs.run([click("young")])
    with store.transaction() as transaction:
        forget(transaction, 3600)
        rows = transaction.query("SELECT epoch FROM recent_ids").to_pylist()
    assert rows == [{"epoch": 2}]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams(), st.lists(st.integers(1, 10), min_size=1, max_size=5))
def test_however_a_stream_is_cut_each_id_counts_once_at_its_first_record(
    store: Store, stream: list[Event], sizes: list[int]
) -> None:
    with store.transaction() as transaction:
        transaction.execute("TRUNCATE recent_ids, duplicates, epochs, books")
    epochs = Epochs(store)
    applied: list[tuple[str, str]] = []
    rest, cuts = stream, iter(sizes)
    while rest:
        part, rest = rest[: (size := next(cuts, len(rest)))], rest[size:]
        told = epochs.run(part)
        assert told.first.num_rows + told.duplicates.num_rows == len(part)
        applied += zip(told.first["topic"].to_pylist(), told.first["event_id"].to_pylist(), strict=True)
    assert applied == list(dict.fromkeys((topic_of(event), id_of(event)) for event in stream))
