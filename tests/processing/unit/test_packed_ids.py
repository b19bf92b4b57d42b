"""Ids as 14 bytes each: what of the hashes is kept, and that packing loses nothing."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.packed_ids import BYTES_PER_ID, Ids

pytestmark = pytest.mark.unit

HASHES = st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(-(2**63), 2**63 - 1)), max_size=20)


def ids_of(hashes: list[tuple[bytes, int]], chunks: int = 1) -> Ids:
    columns = {
        "id_hash": pa.array([id_hash for id_hash, _ in hashes], pa.binary()),
        "payload_hash": pa.array([payload for _, payload in hashes], pa.int64()),
    }
    table = pa.table(columns)
    size = -(-len(hashes) // chunks) or 1
    return Ids.of(pa.concat_tables([table.slice(start, size) for start in range(0, len(hashes), size)] or [table]))


def rows(ids: Ids) -> list[tuple[int, int, int]]:
    return list(zip(ids.keys.tolist(), ids.checks.tolist(), ids.payloads.tolist(), strict=True))


@given(HASHES, st.integers(1, 3))
def test_an_id_is_ten_bytes_of_its_hash_and_four_of_the_payloads(hashes: list[tuple[bytes, int]], chunks: int) -> None:
    assert rows(ids_of(hashes, chunks)) == [
        (int.from_bytes(id_hash[:8], "little"), int.from_bytes(id_hash[8:10], "little"), payload % 2**32)
        for id_hash, payload in hashes
    ]


@given(HASHES)
def test_packing_loses_nothing_and_takes_14_bytes_an_id(hashes: list[tuple[bytes, int]]) -> None:
    ids = ids_of(hashes)
    packed = ids.pack()
    assert len(packed) == len(ids) * BYTES_PER_ID == len(hashes) * 14
    assert rows(Ids.unpack(packed)) == rows(ids)


def test_the_packed_form_is_what_the_tables_in_use_hold() -> None:
    ids = Ids(np.array([1, 2**63], np.uint64), np.array([3, 4], np.uint16), np.array([5, 6], np.uint32))
    assert ids.pack().hex(" ", -8) == "0100000000000000 0000000000000080 0300040005000000 06000000"


def test_packed_ids_with_bytes_left_over_are_refused() -> None:
    with pytest.raises(ValueError, match="13 bytes are left over"):
        Ids.unpack(b"\0" * 27)


def test_part_of_a_table_gives_the_ids_of_that_part() -> None:
    hashes = [hashlib.md5(bytes([number])).digest() for number in range(4)]
    table = pa.table({"id_hash": pa.array(hashes, pa.binary(16)), "payload_hash": pa.array(range(4), pa.int64())})
    assert rows(Ids.of(table.slice(2))) == rows(ids_of([(hashes[2], 2), (hashes[3], 3)]))


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        ids_of([(hashlib.sha256(b"a").digest(), 1)])
