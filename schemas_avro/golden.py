"""Golden samples: records of every version as people read them (`v<N>.json`) and as they were written (`v<N>.avro`).

The bytes are Avro object container files with a fixed sync marker, written once and never again: they stand for what
lies in old topics and files. In the JSON, decimals are strings and times are ISO 8601.
"""

import io
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import fastavro

from schemas_avro.registry import FOLDER, RegisteredSchema

GOLDEN: Final = FOLDER / "golden"
SYNC_MARKER: Final = b"millrace-golden!"
_METADATA: Final = {"type": "map", "values": "bytes"}


def sample_records(schema: RegisteredSchema, folder: Path = GOLDEN) -> list[dict[str, Any]]:
    """The records of `v<N>.json` as fastavro reads and writes them: Decimal for money, aware datetime for times."""
    path = folder / schema.subject / f"v{schema.version}.json"
    types = {field["name"]: field["type"] for field in schema.definition["fields"]}
    return [
        {name: _from_json(types[name], value) for name, value in record.items()}
        for record in json.loads(path.read_text("utf-8"))
    ]


def sample_datums(schema: RegisteredSchema, folder: Path = GOLDEN) -> list[bytes]:
    """The records of `v<N>.json` as bare Avro data, one each."""
    return [_encode(schema.parsed, record) for record in sample_records(schema, folder)]


def sample_bytes(schema: RegisteredSchema, folder: Path = GOLDEN) -> bytes:
    """The container file `v<N>.avro`."""
    return (folder / schema.subject / f"v{schema.version}.avro").read_bytes()


def read_container(content: bytes, reader: RegisteredSchema) -> list[dict[str, Any]]:
    """Decode a container file, written with any version, as `reader` sees it."""
    records: Iterator[Any] = fastavro.reader(io.BytesIO(content), reader_schema=reader.parsed)
    return list(records)


def encode_samples(schema: RegisteredSchema, folder: Path = GOLDEN) -> bytes:
    """The container file that `v<N>.json` makes: one block, no codec, deterministic.

    Put together here, since `fastavro.writer` orders the attributes of the schema in the header by hash.
    """
    datums = sample_datums(schema, folder)
    data = b"".join(datums)
    header = {"avro.schema": schema.text.encode(), "avro.codec": b"null"}
    parts = (_encode(_METADATA, header), SYNC_MARKER, _encode("long", len(datums)), _encode("long", len(data)))
    return b"".join((b"Obj\x01", *parts, data, SYNC_MARKER))


def write_missing(schemas: tuple[RegisteredSchema, ...], folder: Path = GOLDEN) -> list[Path]:
    """Write the bytes of versions that have none yet; what exists stays as it is."""
    written = []
    for schema in schemas:
        path = folder / schema.subject / f"v{schema.version}.avro"
        if not path.exists():
            path.write_bytes(encode_samples(schema, folder))
            written.append(path)
    return written


def _encode(schema: Any, datum: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum)
    return out.getvalue()


def _from_json(avro_type: Any, value: Any) -> Any:
    logical = avro_type.get("logicalType") if isinstance(avro_type, dict) else None
    if logical == "decimal":
        return Decimal(value)
    if logical == "timestamp-millis":
        return datetime.fromisoformat(value)
    if avro_type == "bytes":
        return bytes.fromhex(value)
    return value
