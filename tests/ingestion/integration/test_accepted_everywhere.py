"""Whatever the gateway accepts, Java's Avro decodes to the same values and Postgres stores them.

Tens of thousands of nearly right bodies go through the real readers, validator and encoders; nothing but a refusal may
come out of a bad one. The records of the good ones are read by Spark's `from_avro` and copied into Postgres.
`MILLRACE_BODIES` is how many bodies of each kind there are.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from adbc_driver_postgresql import dbapi

from ingestion.decode_json import read_json
from ingestion.decompress import Limits
from ingestion.encode import Check, Encoder
from ingestion.errors import EventRefusedError, RequestRefusedError
from ingestion.events import Batch, Incoming
from ingestion.framing import AvroReader
from ingestion.grace import Grace
from ingestion.validate import Rules, Validator
from schemas_avro import RegisteredSchema, load_registry
from tests.ingestion.mutations import Mutator

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]
REGISTRY = load_registry()
SUBJECTS = ("clickstream", "transactions")
BODIES = int(os.environ.get("MILLRACE_BODIES", "12000"))
SEED = 20_261_123
NOW_MS = time.time_ns() // 1_000_000
MILLISECONDS = pa.timestamp("ms", "UTC")
FIELDS = {subject: REGISTRY.latest(subject).definition["fields"] for subject in SUBJECTS}
OPTIONAL = {
    subject: {place for place, field in enumerate(fields) if isinstance(field["type"], list)}
    for subject, fields in FIELDS.items()
}
"""Places of fields that may be null."""
TYPES: dict[str, pa.DataType] = {
    "amount": pa.decimal128(18, 4), "quantity": pa.int32(), "timestamp": MILLISECONDS,
    "properties": pa.map_(pa.string(), pa.string()),
}  # fmt: skip


class Accepted:
    """The records that come out, and the values that are in them by the checks' own word."""

    def __init__(self, validator: Validator) -> None:
        self.values: dict[str, list[tuple[Any, ...]]] = {subject: [] for subject in SUBJECTS}
        self.datums: dict[str, list[bytes]] = {subject: [] for subject in SUBJECTS}
        for subject, name in (("clickstream", "_encode_clickstream"), ("transactions", "_encode_transaction")):
            settles = [
                validator.checks[subject].get(field["name"], Check(lambda value: value)).settle
                for field in FIELDS[subject]
            ]
            setattr(validator, name, self._spy(subject, getattr(validator, name), settles))

    def _spy(self, subject: str, encode: Encoder, settles: list[Callable[[Any], Any]]) -> Encoder:
        def encode_and_keep(*values: Any) -> bytes:
            record = encode(*values)
            settled = (None if value is None and place in OPTIONAL[subject] else settles[place](value)
                       for place, value in enumerate(values))  # fmt: skip
            self.values[subject].append(tuple(settled))
            self.datums[subject].append(record[5:])
            return record

        return encode_and_keep

    def table(self, schema: RegisteredSchema) -> pa.Table:
        """The values as Arrow."""
        columns = {}
        for field, column in zip(
            schema.definition["fields"], zip(*self.values[schema.subject], strict=True), strict=True
        ):
            name, kept = field["name"], list(column)
            if name == "amount":
                kept = [Decimal(value).scaleb(-4) for value in kept]
            if name == "properties":
                kept = [sorted(value.items()) for value in kept]
            columns[name] = pa.array(kept, TYPES.get(name, pa.string()))
        return pa.table(columns)


def send(read: Callable[[bytes], Batch], bodies: Iterable[bytes], validator: Validator) -> Counter[str]:
    """What becomes of bodies. Any exception that is not a refusal fails the test, with the body that made it."""
    grace, outcomes = Grace(validator), Counter[str]()
    for body in bodies:
        try:
            batch = read(body)
        except RequestRefusedError as refused:
            outcomes[refused.problem] += 1
            continue
        for index, event in enumerate(batch.events):
            assert isinstance(event, Incoming | EventRefusedError)
            try:
                if isinstance(event, EventRefusedError):
                    raise event
                validator.check(event, NOW_MS, imported=True)
                outcomes["accepted"] += 1
            except EventRefusedError as refused:
                mended = grace.mend(event, refused, lambda: batch.raw(index), NOW_MS, imported=False)  # noqa: B023 - called at once
                outcomes["mended" if mended else refused.reason] += 1
    return outcomes


def read_by_java(accepted: Accepted, jars: Path, java_home: Path, folder: Path) -> dict[str, pa.Table]:
    """What Java reads from the records of each subject, in their order."""
    for subject, datums in accepted.datums.items():
        (folder / f"{subject}.avsc").write_text(REGISTRY.latest(subject).text, "utf-8")
        table = pa.table({"number": range(len(datums)), "datum": pa.array(datums, pa.binary())})
        pq.write_table(table, folder / f"{subject}.parquet")
    done = subprocess.run(
        [sys.executable, "-m", "tests.ingestion.spark_decode", str(jars), str(folder)],
        cwd=REPOSITORY, env={**os.environ, "JAVA_HOME": str(java_home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {subject: _fields(accepted, subject, pq.read_table(folder / f"{subject}-read")) for subject in SUBJECTS}


def _fields(accepted: Accepted, subject: str, table: pa.Table) -> pa.Table:
    read = table.sort_by("number")["read"].combine_chunks()
    assert len(read) == len(accepted.datums[subject])
    lost = pc.indices_nonzero(read.is_null())
    assert len(lost) == 0, accepted.values[subject][lost[0].as_py()]
    columns = {field.name: read.field(field.name) for field in read.type}
    if "properties" in columns:
        pairs = [sorted(told) for told in columns["properties"].to_pylist()]
        columns["properties"] = pa.array(pairs, TYPES["properties"])
    return pa.table(columns)


def assert_same(found: pa.Table, wanted: pa.Table) -> None:
    assert found.column_names == wanted.column_names
    for name in wanted.column_names:
        column = found[name].cast(wanted.schema.field(name).type)
        if column.combine_chunks() != wanted[name].combine_chunks():
            pairs = zip(column.to_pylist(), wanted[name].to_pylist(), strict=True)
            place, pair = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
            pytest.fail(f"{name} of record {place}: {pair[0]!r} instead of {pair[1]!r}")


def stored_by_postgres(url: str, subject: str, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows as Postgres gives them back, and as they were copied, in their order; properties as JSON."""
    if "properties" in table.column_names:
        texts = [json.dumps(dict(pairs)) for pairs in table["properties"].to_pylist()]
        place = table.column_names.index("properties")
        table = table.set_column(place, "properties", pa.array(texts))
    numbered = table.append_column("number", pa.array(range(table.num_rows)))
    kinds = {"amount": "numeric(18,4)", "quantity": "integer", "timestamp": "timestamptz", "number": "bigint"}
    columns = ", ".join(f'"{name}" {kinds.get(name, "text")}' for name in numbered.column_names)
    told = ", ".join(f'"{name}"' + ("::text" if name == "amount" else "") for name in table.column_names)
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f'CREATE TEMP TABLE "{subject}" ({columns})')
        cursor.adbc_ingest(subject, numbered, mode="append", temporary=True)
        if "properties" in table.column_names:
            cursor.execute(f"SELECT sum((SELECT count(*) FROM jsonb_object_keys(properties::jsonb))) FROM {subject}")
            cursor.fetchall()
        cursor.execute(f"SELECT {told} FROM {subject} ORDER BY number")
        found: pa.Table = cursor.fetch_arrow_table()
        return found, table


def test_what_is_accepted_is_read_by_java_and_stored_by_postgres(
    spark_jars: Path, java_home: Path, postgres_url: str, tmp_path: Path
) -> None:
    validator = Validator(Rules("USD", 300_000, 7 * 86_400_000), REGISTRY)
    accepted, mutator, avro = Accepted(validator), Mutator(SEED, NOW_MS), AvroReader(REGISTRY)
    limits = Limits(1 << 24, 200)
    outcomes = send(lambda body: avro.read(body, 100, 1 << 18, limits), mutator.avro_bodies(BODIES), validator)
    outcomes += send(lambda body: read_json(body, 100, 1 << 18), mutator.json_bodies(BODIES), validator)
    assert sum(outcomes.values()) >= 2 * BODIES
    assert outcomes["accepted"] > BODIES / 4
    assert outcomes["mended"] > BODIES / 100
    assert len(outcomes) > 12, outcomes
    read = read_by_java(accepted, spark_jars, java_home, tmp_path)
    for subject in SUBJECTS:
        wanted = accepted.table(REGISTRY.latest(subject))
        assert wanted.num_rows > BODIES / 10
        assert_same(read[subject], wanted)
        assert_same(*stored_by_postgres(postgres_url, subject, wanted))
