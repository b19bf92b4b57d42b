"""The law of dedupe against a plain model: epochs, both topics, copies, conflicts, ids that share a key."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.topics import CLICKSTREAM, TRANSACTIONS
from processing.dedupe import Deduplicated, deduplicate
from processing.recent_ids import RecentIds
from tests.examples import examples

pytestmark = pytest.mark.unit

TOPICS = (CLICKSTREAM.name, TRANSACTIONS.name)


@dataclass(frozen=True)
class Record:
    """What dedupe sees of a record."""

    topic: str
    partition: int
    id_hash: bytes
    payload: int

    @property
    def identity(self) -> bytes:
        """All of the hash that counts."""
        return self.id_hash[:10]


KEYS = st.sampled_from([bytes(8), b"\1" + bytes(7), bytes(7) + b"\1", b"\xff" * 8, b"12345678"])
CHECKS = st.sampled_from([bytes(2), b"\1\0", b"\xff\xff"])
RECORDS = st.builds(
    Record,
    topic=st.sampled_from(TOPICS),
    partition=st.integers(0, 2),
    id_hash=st.builds(lambda key, check, rest: key + check + rest, KEYS, CHECKS, st.just(bytes(6)) | st.just(b"r" * 6)),
    payload=st.sampled_from([-1, 0, 1, 2**31, 2**62]),
)
EPOCHS = st.lists(st.lists(RECORDS, max_size=15), min_size=1, max_size=6)


def table_of(records: list[Record], first_offset: int = 0) -> pa.Table:
    """Records as events, offsets counted within the whole."""
    return pa.table(
        {
            "topic": pa.array([record.topic for record in records], pa.string()),
            "partition": pa.array([record.partition for record in records], pa.int32()),
            "offset": pa.array(range(first_offset, first_offset + len(records)), pa.int64()),
            "event_id": pa.array([record.id_hash.hex() for record in records], pa.string()),
            "id_hash": pa.array([record.id_hash for record in records], pa.binary()),
            "payload_hash": pa.array([record.payload for record in records], pa.int64()),
        }
    )


@settings(max_examples=examples(40))
@given(EPOCHS, st.randoms(use_true_random=False))
def test_the_first_record_of_an_id_owns_it_and_all_others_are_duplicates(
    epochs: list[list[Record]], dice: np.random.Generator
) -> None:
    recent, offset = RecentIds(largest_run=8), 0
    owners: dict[bytes, tuple[int, int]] = {}
    for epoch, records in enumerate(epochs, start=1):
        numbered = list(enumerate(records, start=offset))
        first, duplicates = [], []
        for number, record in sorted(numbered, key=lambda pair: (pair[1].topic, pair[1].partition, pair[0])):
            place = (record.topic, record.partition, number)
            if record.identity in owners:
                first_epoch, payload = owners[record.identity]
                conflict = payload != record.payload % 2**32
                duplicates.append((*place, epoch, record.id_hash.hex(), conflict, first_epoch))
            else:
                owners[record.identity] = (epoch, record.payload % 2**32)
                first.append(place)
        shuffled = list(range(len(records)))
        dice.shuffle(shuffled)
        events = table_of(records, offset).take(pa.array(shuffled, pa.int64()))
        told = deduplicate(recent, events, epoch)
        assert sorted(rows(told.first.select(["topic", "partition", "offset"]))) == first
        assert sorted(rows(told.duplicates)) == sorted(duplicates)
        assert told.conflicts == sum(row[5] for row in duplicates)
        assert len(told.fresh) == len(first)
        recent.add(epoch, told.fresh)
        offset += len(records)
    assert len(recent) == len(owners)


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def distinct(size: int, seed: int = 1) -> list[Record]:
    hashes = np.random.default_rng(seed).bytes(16 * size)
    return [Record(TOPICS[0], 0, hashes[16 * n : 16 * n + 16], n) for n in range(size)]


def test_both_parts_keep_the_order_of_the_events() -> None:
    records = distinct(50)
    events = pa.concat_tables([table_of(records), table_of(records, first_offset=50)]).take(
        pa.array([*range(99, -1, -1)])
    )
    told = deduplicate(RecentIds(), events, 1)
    assert told.first["offset"].to_pylist() == [*range(49, -1, -1)]
    assert told.duplicates["offset"].to_pylist() == [*range(99, 49, -1)]


def test_nothing_changes_in_memory_until_the_ids_are_added() -> None:
    recent, events = RecentIds(), table_of(distinct(10))
    first = deduplicate(recent, events, 1)
    again = deduplicate(recent, events, 1)
    assert first.first == again.first == events
    assert len(recent) == 0


def test_a_replay_is_all_duplicates_and_nothing_in_it_is_fresh() -> None:
    recent, events = RecentIds(), table_of(distinct(1000))
    recent.add(7, deduplicate(recent, events, 7).fresh)
    told: Deduplicated = deduplicate(recent, events, 8)
    assert (told.first.num_rows, len(told.fresh), told.conflicts) == (0, 0, 0)
    assert told.duplicates["offset"].to_pylist() == events["offset"].to_pylist()
    assert set(told.duplicates["first_epoch"].to_pylist()) == {7}


def test_no_events_are_no_duplicates() -> None:
    told = deduplicate(RecentIds(), table_of([]), 1)
    assert (told.first.num_rows, told.duplicates.num_rows, told.conflicts, len(told.fresh)) == (0, 0, 0, 0)
