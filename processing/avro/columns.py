"""Kafka values to Arrow columns: a whole batch at a time, one field after the other over all of its records.

Strict, and each record by itself: one that does not decode gets a reason and no values, and disturbs no other.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from contracts.rejections import Reason
from processing.avro.cursors import Cursors, Longs
from processing.avro.resolution import arrow_schema, resolve
from schemas_avro import Registry

FAULT: Final = "fault"
PREFIX_BYTES: Final = 5
"""Confluent framing: a zero, then the schema id, big-endian."""
BLOCK_ROWS: Final = 1 << 14
"""So many records at a time stay in the processor's cache."""
BLOCK_BYTES: Final = 1 << 30
"""What offsets of 32 bits can address, and room to spare."""
_NO_ID: Final = -1
_NOWHERE: Final = -1
_REASONS: Final = pa.array([Reason.UNKNOWN_SCHEMA.value, Reason.MALFORMED_AVRO.value])
"""By whether the schema is known."""


class ColumnDecoder:
    """Values of one subject, whatever registered version wrote them, as columns of the subject's latest version."""

    def __init__(self, registry: Registry, subject: str) -> None:
        """Raises KeyError for an unknown subject, TypeError for a schema with a type that is not supported."""
        reader = registry.latest(subject).definition
        self._fields = arrow_schema(reader)
        self.schema: pa.Schema = self._fields.append(pa.field(FAULT, pa.string()))
        """The columns: the latest version's fields in order, then `fault`."""
        self._writers = {schema.id: resolve(schema.definition, reader) for schema in registry.versions(subject)}

    def decode(self, values: pa.Array | pa.ChunkedArray) -> pa.Table:
        """A row per value, in order; the columns are those of `schema`.

        values: binary or large binary, in Confluent framing, each under 2 GiB (Kafka's own limit); may be null.
        `fault` is null, or the code of `Reason.UNKNOWN_SCHEMA` (also of values without the framing) or
        `Reason.MALFORMED_AVRO`. A row with a fault has no other value. Of a map's repeated key the last value counts.
        """
        values = values.cast(pa.large_binary())
        if isinstance(values, pa.ChunkedArray):
            values = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
        return pa.Table.from_batches([self._decode(block) for block in _blocks(values)], self.schema)

    def _decode(self, values: pa.Array) -> pa.RecordBatch:
        """A block of values, not empty."""
        buffer, start, end = _content(values)
        ids = _schema_ids(buffer, start, end)
        ids[values.is_null().to_numpy(zero_copy_only=False)] = _NO_ID
        known = np.zeros(len(values), np.bool_)
        source = np.full(len(values), _NOWHERE)
        parts: list[pa.RecordBatch] = []
        rows = 0
        for schema_id, writer in self._writers.items():
            lanes = np.flatnonzero(ids == schema_id)
            if not len(lanes):
                continue
            cursors = Cursors(buffer, start[lanes] + PREFIX_BYTES, end[lanes])
            parts.append(writer.read(cursors))
            known[lanes] = True
            sound = np.flatnonzero(~cursors.failed)
            source[lanes[sound]] = rows + sound
            rows += len(lanes)
        faulty = source == _NOWHERE
        fault = _REASONS.take(pa.array(known.view(np.int8), mask=~faulty))
        if len(parts) == 1 and not faulty.any():
            return parts[0].append_column(FAULT, fault)
        fields = pa.concat_batches(parts or [pa.RecordBatch.from_pylist([], self._fields)])
        return fields.take(pa.array(source, mask=faulty)).append_column(FAULT, fault)


def _blocks(values: pa.Array) -> Iterator[pa.Array]:
    """The values in parts of at most `BLOCK_ROWS` and, unless it is a single one, `BLOCK_BYTES`; no empty part."""
    if len(values) > BLOCK_ROWS or (len(values) > 1 and values.nbytes > BLOCK_BYTES):
        half = len(values) // 2
        yield from _blocks(values[:half])
        yield from _blocks(values[half:])
    elif len(values):
        yield values


def _content(values: pa.Array) -> tuple[pa.Buffer, Longs, Longs]:
    """The bytes of all values of a large binary array, and where each starts and ends in them."""
    _, offsets, content = values.buffers()
    bounds = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    bounds, first, size = bounds - bounds[0], int(bounds[0]), int(bounds[-1] - bounds[0])
    buffer = content.slice(first, size) if size else pa.py_buffer(b"")
    return buffer, bounds[:-1], bounds[1:]


def _schema_ids(buffer: pa.Buffer, start: Longs, end: Longs) -> Longs:
    """The id in each value's prefix; `_NO_ID` for a value without one."""
    ids: Longs = np.full(len(start), _NO_ID)
    lanes = np.flatnonzero(end - start >= PREFIX_BYTES)
    prefix = np.frombuffer(buffer, np.uint8)[start[lanes, np.newaxis] + np.arange(PREFIX_BYTES)]
    ids[lanes] = np.where(prefix[:, 0] == 0, prefix[:, 1:].copy().view(">u4")[:, 0], _NO_ID)
    return ids
