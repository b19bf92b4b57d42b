"""What dedupe remembers of an event id: 14 bytes, the same in memory and in the table `seen_ids`.

An id is known by 80 bits of its MD5: a key, by which it is found, and a check. Two different ids are taken for one with
a chance of 2^-80. Beside 36 million remembered ids (10,000 events/s for an hour) that is 3 in 10^17 per event: 1 in
100,000 that a year of 10,000 events/s sees it happen once. It would be written down as a conflict. Copies and conflicts
are told apart by 32 bits of the payload's hash; one conflict in four thousand million passes for a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rows: TypeAlias = npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice
"""Which ids: their places, a flag for each, or a part."""

BYTES_PER_ID: Final = 14

_DIGEST: Final = np.dtype([("key", "<u8"), ("check", "<u2"), ("rest", "V6")])


@dataclass(frozen=True)
class Ids:
    """Ids as parallel arrays, an id in each place."""

    keys: npt.NDArray[np.uint64]
    checks: npt.NDArray[np.uint16]
    payloads: npt.NDArray[np.uint32]
    """Hash of the event that the id was first seen with."""

    @classmethod
    def of(cls, events: pa.Table) -> "Ids":
        """The ids of events, in their order, by the columns `id_hash` (16 bytes) and `payload_hash` (64 bits)."""
        hashes = events["id_hash"].cast(pa.binary(16)).combine_chunks()
        digests = np.frombuffer(hashes.buffers()[1] or b"", _DIGEST, len(hashes), offset=16 * hashes.offset)
        payloads = events["payload_hash"].to_numpy().astype(np.uint32)
        return cls(digests["key"].astype(np.uint64), digests["check"].astype(np.uint16), payloads)

    @classmethod
    def concatenate(cls, parts: Sequence["Ids"]) -> "Ids":
        """All of them, one part after the other."""
        columns = zip(*((part.keys, part.checks, part.payloads) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    @classmethod
    def unpack(cls, packed: Any) -> "Ids":
        """What `pack` made, from any object with a buffer. The arrays are views of it."""
        count, rest = divmod(memoryview(packed).nbytes, BYTES_PER_ID)
        if rest:
            raise ValueError(f"packed ids take {BYTES_PER_ID} bytes each; {rest} bytes are left over")
        return cls(
            np.frombuffer(packed, "<u8", count),
            np.frombuffer(packed, "<u2", count, offset=8 * count),
            np.frombuffer(packed, "<u4", count, offset=10 * count),
        )

    def pack(self) -> bytes:
        """All keys, then all checks, then all payload hashes, little-endian."""
        return b"".join(
            (
                self.keys.astype("<u8").tobytes(),
                self.checks.astype("<u2").tobytes(),
                self.payloads.astype("<u4").tobytes(),
            )
        )

    def take(self, rows: Rows) -> "Ids":
        """These ids only."""
        return Ids(self.keys[rows], self.checks[rows], self.payloads[rows])

    def __len__(self) -> int:
        return len(self.keys)
