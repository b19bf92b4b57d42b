"""Avro's primitives, read at a place in each of many datums at once: numpy operations instead of a loop over records.

Strict (Avro 1.12 specification, "Binary Encoding"): what a cursor accepts, every Avro implementation reads to the same
value. A cursor that meets an error is marked and stays within its datum; whatever is read at it afterwards means
nothing, so no error needs a branch and no datum can disturb another one.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Longs: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Lanes: TypeAlias = npt.NDArray[np.intp]
"""Which cursors, by number, ascending."""

LONG: Final = (10, 64)
"""The most bytes and bits of a long."""
INT: Final = (5, 32)


class Cursors:
    """A place in each of many datums that lie in one buffer, one after the other with any gaps."""

    def __init__(self, buffer: pa.Buffer, position: Longs, end: Longs) -> None:
        """`buffer`: less than 2 GiB, not empty unless there are no cursors. `position`, `end`: offsets in it."""
        self.buffer = buffer
        self.content = np.frombuffer(buffer, np.uint8)
        self.position = position
        self.end = end
        self.failed: Flags = np.zeros(len(position), np.bool_)

    def __len__(self) -> int:
        return len(self.position)

    def select(self, lanes: Lanes) -> "Cursors":
        """Some of the cursors, to be read on their own; `rejoin` brings them back."""
        return Cursors(self.buffer, self.position[lanes], self.end[lanes])

    def rejoin(self, lanes: Lanes, selected: "Cursors") -> None:
        """Go on where the selected cursors stand."""
        self.position = self.position.copy()
        self.position[lanes] = selected.position
        self.failed[lanes] |= selected.failed

    def fail(self, where: Flags) -> None:
        """Mark these cursors."""
        self.failed |= where

    def bytes_here(self) -> npt.NDArray[np.uint8]:
        """The next byte of each; a cursor without one is marked."""
        found = self.content.take(self.position, mode="clip")
        self._move_to(self.position + 1)
        return found

    def varints(self, width: tuple[int, int] = LONG) -> Longs:
        """The next zigzag integer of each: `LONG` or `INT`, no longer and no wider than that."""
        max_bytes, bits = width
        byte = self.content.take(self.position, mode="clip")
        position = self.position + 1
        bare = (byte & 127).astype(np.uint64)
        lanes = np.flatnonzero(byte > 127)
        for shift in range(7, 7 * max_bytes, 7):
            if not len(lanes):
                break
            at = position[lanes]
            byte = self.content.take(at, mode="clip")
            position[lanes] = at + 1
            if shift + 7 > bits:
                self.failed[lanes] |= (byte & 127) >> (bits - shift) > 0
            bare[lanes] |= (byte & 127).astype(np.uint64) << np.uint64(shift)
            lanes = lanes[byte > 127]
        self.failed[lanes] = True
        self._move_to(position)
        return (bare >> np.uint64(1)).view(np.int64) ^ -(bare & np.uint64(1)).view(np.int64)

    def spans(self) -> tuple[Longs, Longs]:
        """Start and stop of the length-prefixed bytes that come next; empty at a cursor that is marked."""
        length = self.varints()
        start = self.position
        self.failed |= length.view(np.uint64) > (self.end - start).view(np.uint64)  # a negative one is a huge one
        length[self.failed] = 0
        self.position = stop = start + length
        return start, stop

    def _move_to(self, position: Longs) -> None:
        self.failed |= position > self.end
        self.position = np.minimum(position, self.end)


def gather(buffer: pa.Buffer, start: Longs, stop: Longs, step: int = 1, first: int = 0) -> pa.Array:
    """Every `step`-th of these spans from the `first` on, as a binary array. Spans ascend and do not overlap.

    Spans and the gaps between them make up, without a copy, a binary array; Arrow takes every other one of it.
    """
    offsets = np.empty(2 * len(start), np.int32)
    offsets[0::2] = start
    offsets[1::2] = stop
    pieces = pa.Array.from_buffers(pa.binary(), max(len(offsets) - 1, 0), [None, pa.py_buffer(offsets), buffer])
    return pieces.take(pa.array(np.arange(2 * first, len(offsets), 2 * step)))
