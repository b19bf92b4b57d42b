"""Avro types as column readers: one value per cursor, as an Arrow array.

All that event schemas use but maps (`processing.avro.maps`).
"""

from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from processing.avro.cursors import INT, Cursors, Flags, Lanes, Longs, gather

MAX_DECIMAL_BYTES: Final = 16
MAX_DECIMAL_PRECISION: Final = 18
"""What 64 bits hold."""


class ColumnType(Protocol):
    """How values of one type are read."""

    arrow: pa.DataType

    def read(self, cursors: Cursors) -> pa.Array:
        """The next value of each cursor; cursors with an invalid one are marked, and have any value at all."""


class Number:
    """int, long and timestamp-millis."""

    def __init__(self, arrow: pa.DataType, width: tuple[int, int]) -> None:
        self.arrow = arrow
        self._width = width
        self._numpy = np.int32 if width == INT else np.int64

    def read(self, cursors: Cursors) -> pa.Array:
        values = cursors.varints(self._width).astype(self._numpy, copy=False)
        return pa.Array.from_buffers(self.arrow, len(values), [None, pa.py_buffer(values)])


class Boolean:
    """One byte, 0 or 1."""

    arrow = pa.bool_()

    def read(self, cursors: Cursors) -> pa.Array:
        byte = cursors.bytes_here()
        cursors.fail(byte > 1)
        return pa.array(byte == 1)


class Bytes:
    """Length-prefixed bytes."""

    arrow = pa.binary()

    def read(self, cursors: Cursors) -> pa.Array:
        return gather(cursors.buffer, *cursors.spans())


class Text:
    """Length-prefixed UTF-8."""

    arrow = pa.string()

    def read(self, cursors: Cursors) -> pa.Array:
        raw = gather(cursors.buffer, *cursors.spans())
        cursors.failed[not_utf8(raw)] = True
        return raw.view(pa.string())


class Decimal:
    """A decimal over bytes: two's complement, big-endian, of at least one and at most 16 bytes."""

    def __init__(self, precision: int, scale: int) -> None:
        self.arrow = pa.decimal128(precision, scale)
        self._limit = 10**precision

    def read(self, cursors: Cursors) -> pa.Array:
        start, stop = cursors.spans()
        width = stop - start
        cursors.fail((width == 0) | (width > MAX_DECIMAL_BYTES))
        unscaled = cursors.content.take(start, mode="clip").view(np.int8).astype(np.int64)
        for place in range(1, min(int(width.max(initial=0)), 8)):
            lanes = np.flatnonzero(width > place)
            unscaled[lanes] = unscaled[lanes] << 8 | cursors.content[start[lanes] + place]
        for lane in np.flatnonzero((width > 8) & ~cursors.failed):  # legal, but nobody writes so many sign bytes
            wide = int.from_bytes(cursors.content[start[lane] : stop[lane]].tobytes(), "big", signed=True)
            unscaled[lane] = wide if abs(wide) < self._limit else self._limit
        cursors.fail((unscaled >= self._limit) | (unscaled <= -self._limit))
        words = np.empty((len(unscaled), 2), np.int64)
        words[:, 0] = unscaled
        words[:, 1] = unscaled >> 63
        return pa.Array.from_buffers(self.arrow, len(unscaled), [None, pa.py_buffer(words)])


class Enum:
    """A symbol of the writer's, as the reader's enum has it: itself, or the reader's default."""

    arrow = pa.string()

    def __init__(self, written: list[str], known: list[str], default: str | None) -> None:
        resolved = [symbol if symbol in known else default for symbol in written]
        self._symbols = pa.array(resolved, pa.string())
        self._readable = np.array([symbol is not None for symbol in resolved])

    def read(self, cursors: Cursors) -> pa.Array:
        index = cursors.varints(INT)
        cursors.fail((index < 0) | (index >= len(self._readable)))
        index[cursors.failed] = 0
        cursors.fail(~self._readable[index])
        return self._symbols.take(pa.array(index))


class Nullable:
    """A union of null and one other type."""

    def __init__(self, inner: ColumnType, null_branch: int) -> None:
        self.arrow = inner.arrow
        self._inner = inner
        self._null_branch = null_branch

    def read(self, cursors: Cursors) -> pa.Array:
        branch = cursors.varints()
        cursors.fail((branch != 0) & (branch != 1))
        present = (branch == 1 - self._null_branch) & ~cursors.failed
        lanes = np.flatnonzero(present)
        if not len(lanes):
            return pa.nulls(len(cursors), self.arrow)
        if len(lanes) == len(cursors):
            return self._inner.read(cursors)
        selected = cursors.select(lanes)
        values = self._inner.read(selected)
        cursors.rejoin(lanes, selected)
        return _spread(values, present)


def _spread(values: pa.Array, present: Flags) -> pa.Array:
    """The values where they are present, null elsewhere."""
    rank: Longs = np.cumsum(present)
    if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)):
        return values.take(pa.array(rank - 1, mask=~present))
    # A null takes no bytes, so only the offsets change; the bytes need no copy.
    _, offsets, content = values.buffers()
    spread = np.zeros(len(present) + 1, np.int32)
    spread[1:] = np.frombuffer(offsets, np.int32)[rank]
    validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(values.type, len(present), [validity, pa.py_buffer(spread), content])


def not_utf8(raw: pa.Array) -> Lanes:
    """Which values of a binary array are not valid UTF-8; quick where all of them are."""
    content = raw.buffers()[2]
    if content is None or np.frombuffer(content, np.uint8).max(initial=0) < 128:
        return np.empty(0, np.intp)
    try:
        raw.view(pa.string()).validate(full=True)
    except pa.ArrowInvalid:
        return np.array([lane for lane, value in enumerate(raw.to_pylist()) if not _is_utf8(value)], np.intp)
    return np.empty(0, np.intp)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
