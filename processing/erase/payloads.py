"""What was kept of events that never counted, blanked where it is a person's. The rows stay: they are counted."""

import json
from typing import Final

import pyarrow as pa

from contracts.payloads import spellings
from processing.erased import BLANK, ids_in
from processing.store import Transaction

_PLACE: Final = ("topic", "partition", "offset")


def is_theirs(raw: bytes, user_id: str) -> bool:
    """Whether a payload names the person: as a member of JSON, or as a text of Avro, which begins with its length."""
    if raw.lstrip()[:1] in (b"{", b"["):
        return user_id in ids_in(raw)
    avro, *_ = spellings(user_id)
    return avro in raw or user_id in ids_in(raw)


def blank(transaction: Transaction, user_id: str) -> dict[str, int]:
    """Blank the payloads that name the person. Returns how many rows of each table that were."""
    to_blank = {name: value for name, value in BLANK.items() if value is not None}
    changes = ", ".join(
        [f"{name} = ${number}" for number, name in enumerate(to_blank, 1)]
        + [f"{name} = NULL" for name in BLANK.keys() - to_blank.keys()]
    )
    return {
        "rejected_events": _blank(transaction, "rejected_events", user_id, changes, tuple(to_blank.values())),
        "quarantine": _blank(transaction, "quarantine", user_id, "raw = $1", (b"",)),
        "verifications": _blank_examples(transaction, user_id),
    }


def blank_duplicates(transaction: Transaction, events: pa.Table) -> int:
    """Take the ids of these events (topic, event_id) off the copies of them."""
    transaction.load("erased_events", events)
    blanked: int = transaction.query(
        "UPDATE duplicates d SET event_id = '' FROM erased_events e"
        " WHERE d.topic = e.topic AND d.event_id = e.event_id RETURNING d.epoch"
    ).num_rows
    return blanked


def count(transaction: Transaction, user_id: str) -> dict[str, int]:
    """How many rows `blank` would blank."""
    return {name: len(_theirs(transaction, name, user_id)) for name in ("rejected_events", "quarantine")}


def _blank(transaction: Transaction, table: str, user_id: str, changes: str, values: tuple[object, ...]) -> int:
    places = _theirs(transaction, table, user_id)
    schema = pa.schema([("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])
    staged = f"erased_{table}"
    transaction.load(staged, pa.Table.from_pylist(places, schema))
    same = " AND ".join(f't."{name}" = e."{name}"' for name in _PLACE)
    transaction.execute(f"UPDATE {table} t SET {changes} FROM {staged} e WHERE {same}", values)
    return len(places)


def _theirs(transaction: Transaction, table: str, user_id: str) -> list[dict[str, object]]:
    """Places of the payloads that name the person. Postgres finds those with the id's bytes, this module the others."""
    texts = spellings(user_id)
    if user_id.isdecimal():
        texts.append(user_id.encode())  # a number of JSON
    found = " OR ".join(f"position(${number} in raw) > 0" for number in range(1, len(texts) + 1))
    rows = transaction.query(f'SELECT topic, partition, "offset", raw FROM {table} WHERE {found}', texts)
    return [
        {name: row[name] for name in _PLACE}
        for batch in rows.to_batches()
        for row in batch.to_pylist()
        if is_theirs(row["raw"], user_id)
    ]


def _blank_examples(transaction: Transaction, user_id: str) -> int:
    """A verification's examples have keys of rows, and a user's id may be one."""
    blanked: int = transaction.query(
        "UPDATE verifications SET examples = '[]' WHERE position($1 in examples::text) > 0 RETURNING id",
        (json.dumps(user_id, ensure_ascii=False),),
    ).num_rows
    return blanked
