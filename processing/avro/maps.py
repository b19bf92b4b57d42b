"""Avro maps of string as a column: the usual coding over all records at once, the rare ones record by record.

Usual is what every common encoder writes: one block with a positive count and no key twice. The rest is legal too (Avro
1.12 specification, "Maps"): more blocks, a negative count with the block's size in bytes, a repeated key.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from processing.avro.cursors import LONG, Cursors, Flags, Lanes, Longs, gather
from processing.avro.types import not_utf8

MAX_MAP_ENTRIES: Final = 10_000
"""More than that is an error, whatever the bytes say: the gateway takes 64."""
FEW: Final = 32
"""So many maps at a time are worth a step of numpy; fewer are read one by one."""


class MapOfString:
    """A map with string values. Of a repeated key the last value counts."""

    arrow = pa.map_(pa.string(), pa.string())

    def read(self, cursors: Cursors) -> pa.Array:
        begin = cursors.position
        count = cursors.varints()
        # An entry takes at least two bytes, so a count costs no more than the bytes that are there.
        room = np.minimum((cursors.end - cursors.position) // 2, MAX_MAP_ENTRIES)
        cursors.fail(count > room)
        unusual = count < 0
        count[cursors.failed | unusual] = 0
        unusual |= count > (np.partition(count, -FEW)[-FEW] if len(count) >= FEW else 0)
        count[unusual] = 0
        maps = _usual(cursors, count, unusual)
        lanes = np.flatnonzero(unusual & ~cursors.failed)
        return _replaced(maps, lanes, cursors, begin) if len(lanes) else maps


def _usual(cursors: Cursors, count: Longs, unusual: Flags) -> pa.Array:
    """One block of `count` entries each. Adds to `unusual` what turns out to be so."""
    offsets = np.zeros(len(count) + 1, np.int64)
    np.cumsum(count, out=offsets[1:])
    total = 2 * int(offsets[-1])
    start, stop = np.empty(total, np.int64), np.empty(total, np.int64)
    done = 0
    for until in np.unique(count):  # maps of equal length end together
        lanes = np.flatnonzero(count >= until)
        selected = cursors.select(lanes)
        first = 2 * offsets[lanes]
        for place in range(2 * done, 2 * int(until)):
            start[first + place], stop[first + place] = selected.spans()
        cursors.rejoin(lanes, selected)
        done = int(until)
    filled = np.flatnonzero(count > 0)
    if len(filled):
        selected = cursors.select(filled)
        unusual[filled[(selected.varints() != 0) & ~selected.failed]] = True
        cursors.rejoin(filled, selected)
    keys, values = (gather(cursors.buffer, start, stop, step=2, first=which) for which in (0, 1))
    owner = np.repeat(np.arange(len(count)), count)
    for odd in (not_utf8(keys), not_utf8(values), _repeated(owner, keys)):
        unusual[owner[odd]] = True
    return pa.MapArray.from_arrays(pa.array(offsets.astype(np.int32)), keys.view(pa.string()), values.view(pa.string()))


def _repeated(owner: Lanes, keys: pa.Array) -> Lanes:
    """The entries whose key is in their map more than once."""
    if not (owner[1:] == owner[:-1]).any():
        return np.empty(0, np.intp)
    distinct = keys.dictionary_encode()
    pair = owner * len(distinct.dictionary) + distinct.indices.to_numpy()
    if (pair[1:] > pair[:-1]).all():  # every map has its keys in the order in which they first come up: none twice
        return np.empty(0, np.intp)
    ordered = np.sort(pair)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.flatnonzero(np.isin(pair, again)) if len(again) else again


def _replaced(maps: pa.Array, lanes: Lanes, cursors: Cursors, begin: Longs) -> pa.Array:
    """The maps with those of `lanes` read again from where they begin, one by one."""
    selected = cursors.select(lanes)
    selected.position = begin[lanes]
    entries: list[list[tuple[str, str]]] = []
    for number, (start, end) in enumerate(zip(selected.position, selected.end, strict=True)):
        try:
            found, size = read_map(cursors.content[start:end].tobytes())
        except ValueError:
            selected.failed[number] = True
            found, size = {}, 0
        entries.append(list(found.items()))
        selected.position[number] += size
    cursors.rejoin(lanes, selected)
    source = np.arange(len(maps))
    source[lanes] = len(maps) + np.arange(len(lanes))
    return pa.concat_arrays([maps, pa.array(entries, maps.type)]).take(pa.array(source))


def read_map(body: bytes) -> tuple[dict[str, str], int]:
    """The map that `body` begins with and the bytes it takes. Raises ValueError for a malformed one."""
    entries: dict[str, str] = {}
    left, position = MAX_MAP_ENTRIES, 0
    while True:
        count, position = _long(body, position)
        if not count:
            return entries, position
        size = None
        if count < 0:
            size, position = _long(body, position)
        left -= abs(count)
        if left < 0:
            raise ValueError("too many entries")
        block = position
        for _ in range(abs(count)):
            key, position = _text(body, position)
            entries[key], position = _text(body, position)
        if size is not None and position - block != size:
            raise ValueError("a block of another size than announced")


def _text(body: bytes, position: int) -> tuple[str, int]:
    length, start = _long(body, position)
    stop = start + length
    if length < 0 or stop > len(body):
        raise ValueError("a text longer than what is left")
    return body[start:stop].decode(), stop


def _long(body: bytes, position: int) -> tuple[int, int]:
    """An integer of at most ten bytes. More than 64 bits need no check: here they are a size that nothing has."""
    max_bytes, _ = LONG
    bare = 0
    for place in range(max_bytes):
        if position == len(body):
            raise ValueError("the bytes end within an integer")
        byte = body[position]
        position += 1
        bare |= (byte & 127) << 7 * place
        if byte < 128:
            return (bare >> 1) ^ -(bare & 1), position
    raise ValueError("an integer that is too long")
