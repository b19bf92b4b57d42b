"""Dedupe against a real Postgres: what is decided in memory is written down, and a start decides on as before."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.settings import PostgresSettings
from processing import dedupe
from processing.bench_state import measure_state
from processing.dedupe import (
    Deduplicated,
    applied_before,
    deduplicate,
    forget,
    keep_duplicates,
    load_ids,
    write_ids,
)
from processing.recent_ids import RecentIds
from processing.store import Store, one_transaction
from tests.examples import examples
from tests.processing.builders import START_MS, Event, click, decoded_table, id_of, sale, streams, topic_of

pytestmark = pytest.mark.integration

LATER_MS = START_MS + 366 * 24 * 60 * 60 * 1000
"""A broker's time that no event is ahead of."""


class Epochs:
    """Runs dedupe as an epoch does; offsets go on from epoch to epoch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = 0
        self._epoch = 0
        self._recent = RecentIds()
        self.tables = [decoded_table([])]

    def run(self, events: Sequence[Event]) -> Deduplicated:
        table = decoded_table(events, first_offset=self._offset, log_ms=LATER_MS)
        self._offset += len(events)
        self._epoch += 1
        self.tables.append(table)
        told = deduplicate(self._recent, table, self._epoch)
        with self._store.transaction() as transaction:
            write_ids(transaction, self._epoch, told.fresh)
            keep_duplicates(transaction, told.duplicates)
            transaction.execute(
                "INSERT INTO epochs (epoch, started_at, offsets, newest_log_time, event_time_by_partition)"
                " VALUES ($1, now(), '{}', now(), '{}')",
                (self._epoch,),
            )
        self._recent.add(self._epoch, told.fresh)
        return told

    def forget(self, horizon_seconds: int = 3600) -> None:
        with self._store.transaction() as transaction:
            forgotten = forget(transaction, horizon_seconds)
        self._recent.forget(forgotten)

    def restart(self) -> None:
        with self._store.transaction() as transaction:
            self._recent = load_ids(transaction)

    def grow_older(self, seconds: float) -> None:
        """Let all epochs until now have been committed that much earlier."""
        with self._store.transaction() as transaction:
            transaction.execute("UPDATE epochs SET committed_at = committed_at - make_interval(secs => $1)", (seconds,))

    def replay(self, epoch: int) -> pa.Table:
        with self._store.transaction() as transaction:
            return applied_before(transaction, self.tables[epoch], epoch)

    def written(self) -> list[int]:
        """Epochs whose ids are written down."""
        with self._store.transaction() as transaction:
            written: list[int] = transaction.query("SELECT epoch FROM seen_ids ORDER BY epoch")["epoch"].to_pylist()
        return written


@pytest.fixture
def epochs(store: Store) -> Epochs:
    return Epochs(store)


def offsets(applied: pa.Table) -> list[int]:
    return sorted(applied["offset"].to_pylist())


def test_the_same_id_in_one_epoch_counts_at_its_first_offset(epochs: Epochs) -> None:
    told = epochs.run([click("a"), click("b"), click("a"), click("a")])
    assert offsets(told.first) == [0, 1]
    assert [
        (row["offset"], row["event_id"], row["conflict"], row["first_epoch"]) for row in told.duplicates.to_pylist()
    ] == [(2, "a", False, 1), (3, "a", False, 1)]


def test_an_id_a_thousand_times_in_one_epoch_counts_once(epochs: Epochs) -> None:
    told = epochs.run([click("a")] * 1000)
    assert (offsets(told.first), told.duplicates.num_rows, told.conflicts) == ([0], 999, 0)


def test_the_same_id_in_a_later_epoch_is_a_duplicate_of_the_first(epochs: Epochs) -> None:
    epochs.run([click("a")])
    told = epochs.run([click("b"), click("a")])
    assert offsets(told.first) == [1]
    (row,) = told.duplicates.to_pylist()
    assert (row["epoch"], row["offset"], row["first_epoch"]) == (2, 2, 1)


def test_the_same_id_in_both_topics_is_two_events(epochs: Epochs) -> None:
    told = epochs.run([click("a"), sale("a")])
    assert told.first.num_rows == 2
    assert told.duplicates.num_rows == told.conflicts == 0


def test_the_same_id_with_another_payload_is_a_conflict_and_the_first_stands(epochs: Epochs) -> None:
    told = epochs.run([sale("a", quantity=1), sale("a", quantity=2), sale("a", quantity=1)])
    assert told.first["quantity"].to_pylist() == [1]
    assert told.duplicates["conflict"].to_pylist() == [True, False]
    assert told.conflicts == 1
    epochs.restart()
    assert epochs.run([sale("a", quantity=2)]).conflicts == 1
    assert epochs.run([sale("a", quantity=1)]).conflicts == 0


def test_duplicates_are_written_down(store: Store, epochs: Epochs) -> None:
    epochs.run([click("a"), click("a", user_id="other")])
    epochs.run([click("a")])
    with store.transaction() as transaction:
        rows = transaction.query('SELECT epoch, "offset", conflict FROM duplicates ORDER BY "offset"').to_pylist()
    assert [tuple(row.values()) for row in rows] == [(1, 1, True), (2, 2, False)]


def test_a_replayed_epoch_decides_the_same_and_writes_nothing(epochs: Epochs) -> None:
    first = epochs.run([click("a"), click("b"), click("a")])
    epochs.run([click("a"), click("c")])
    for _ in range(2):
        assert offsets(epochs.replay(1)) == offsets(first.first) == [0, 1]
        assert offsets(epochs.replay(2)) == [4]
    assert epochs.written() == [1, 2]


def test_a_replay_decides_the_same_even_if_the_ids_have_been_forgotten(epochs: Epochs) -> None:
    epochs.run([click("a"), click("a")])
    epochs.run([click("a"), click("b")])
    epochs.grow_older(7200)
    epochs.forget()
    assert epochs.written() == []
    assert offsets(epochs.replay(1)) == [0]
    assert offsets(epochs.replay(2)) == [3]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("age_seconds", "applied"), [(3590, 0), (3610, 1)], ids=["within the horizon", "beyond the horizon"]
)
def test_an_id_is_forgotten_beyond_the_horizon_and_not_before(
    epochs: Epochs, age_seconds: int, applied: int, restarted: bool
) -> None:
    epochs.run([click("a")])
    epochs.grow_older(age_seconds)
    epochs.forget()
    if restarted:
        epochs.restart()
    assert epochs.run([click("a")]).first.num_rows == applied


def test_forgetting_leaves_younger_epochs_alone(epochs: Epochs) -> None:
    epochs.run([click("old")])
    epochs.grow_older(7200)
    epochs.run([click("young")])
    epochs.forget()
    assert epochs.written() == [2]
    assert epochs.run([click("old"), click("young")]).first["event_id"].to_pylist() == ["old"]


def test_an_epoch_without_new_ids_writes_none_down(epochs: Epochs) -> None:
    epochs.run([click("a")])
    epochs.run([click("a")])
    epochs.restart()
    assert epochs.written() == [1]
    assert offsets(epochs.run([click("a"), click("b")]).first) == [3]


def test_a_start_finds_the_ids_of_more_epochs_than_it_fetches_at_a_time(
    epochs: Epochs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedupe, "_LOADED_TOGETHER", 3)
    for number in range(8):
        epochs.run([click(f"e{number}")])
    epochs.restart()
    told = epochs.run([click(f"e{number}") for number in range(9)])
    assert told.first["event_id"].to_pylist() == ["e8"]
    assert told.duplicates["first_epoch"].to_pylist() == list(range(1, 9))


def test_ids_take_14_bytes_each_in_the_table_and_are_not_compressed(store: Store, epochs: Epochs) -> None:
    epochs.run([click(f"e{number}") for number in range(1000)])
    with store.transaction() as transaction:
        (row,) = transaction.query(
            "SELECT octet_length(ids) AS octets, attstorage::text AS storage FROM seen_ids, pg_attribute"
            " WHERE attrelid = 'seen_ids'::regclass AND attname = 'ids'"
        ).to_pylist()
    assert row == {"octets": 14_000, "storage": "e"}


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams(), st.lists(st.tuples(st.integers(1, 10), st.booleans()), min_size=1, max_size=5))
def test_however_a_stream_is_cut_each_id_counts_once_at_its_first_record(
    store: Store, stream: list[Event], cuts: list[tuple[int, bool]]
) -> None:
    with store.transaction() as transaction:
        transaction.execute("TRUNCATE seen_ids, duplicates, epochs")
    epochs = Epochs(store)
    applied: list[tuple[str, str]] = []
    rest, parts = stream, iter(cuts)
    while rest:
        size, restarted = next(parts, (len(rest), False))
        part, rest = rest[:size], rest[size:]
        told = epochs.run(part)
        if restarted:
            epochs.restart()
        assert told.first.num_rows + told.duplicates.num_rows == len(part)
        applied += zip(told.first["topic"].to_pylist(), told.first["event_id"].to_pylist(), strict=True)
    assert applied == list(dict.fromkeys((topic_of(event), id_of(event)) for event in stream))


def test_the_bench_of_state_fills_the_horizon_and_leaves_nothing_behind(postgres: PostgresSettings) -> None:
    steps: list[str] = []
    told = measure_state(postgres, 100, 60, 50, lambda step, *_: steps.append(step))
    assert (told.epochs, told.ids, told.table_rows) == (120, 6_000, 120)
    assert 14 * 6_000 < told.table_bytes < 1_000_000
    assert told.counted_bytes == 6_000 * 67 // 4
    assert steps == ["fill"] * 120 + ["load"]
    with one_transaction(postgres, "public") as transaction:
        assert not transaction.query("SELECT FROM pg_namespace WHERE nspname LIKE 'bench%'").num_rows
