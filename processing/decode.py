"""Kafka records to columns: each record's value by the writer schema it names, as its subject's latest version.

Outside Spark: its decoder costs a core 0.1 s and more in every epoch before it has read one record, and takes bytes
that Avro forbids (decision 8). Nothing here throws and nothing is dropped: what does not decode has a `fault`.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from contracts.topics import (
    CLICKSTREAM,
    HEADER_CLIENT_IP,
    HEADER_IMPORT,
    HEADER_RECEIVED_AT,
    HEADER_SOURCE,
    REJECTED,
    TRANSACTIONS,
)
from processing.avro.columns import ColumnDecoder
from processing.headers import header_columns
from schemas_avro import Registry

SHARED_FIELDS: Final = ("user_id", "session_id", "product_id", "category", "timestamp")
CLICK_FIELDS: Final = ("action", "page_url", "referrer", "user_agent", "search_query", "properties")
SALE_FIELDS: Final = ("amount", "quantity", "payment_method", "order_id", "currency", "kind")
EVENT_FIELDS: Final = ("event_id", *SHARED_FIELDS, *CLICK_FIELDS, *SALE_FIELDS)
HEADERS: Final = (HEADER_SOURCE, HEADER_RECEIVED_AT, HEADER_IMPORT, HEADER_CLIENT_IP)

_TIMES: Final = {"timestamp": "at_ms", "received_at": "received_at_ms"}

_PLACE: Final = ("topic", "partition", "offset", "log_time", "value")


@dataclass(frozen=True)
class Decoded:
    """The records of an epoch by what they are to be. Both tables have the record's place, time and value, too."""

    events: pa.Table
    """`EVENT_FIELDS` (the time as `at_ms`), `HEADERS` as binary columns `header_<name>`, and `fault`."""
    rejected: pa.Table
    """The fields of the subject `rejected` (the time as `received_at_ms`), and `fault`."""


class Decoder:
    """Decodes the records of all topics."""

    def __init__(self, registry: Registry) -> None:
        self._columns = {
            name: ColumnDecoder(registry, name) for name in (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)
        }

    def decode(self, records: pa.Table) -> Decoded:
        """`records` has the columns of Spark's Kafka source."""
        topics = records["topic"]
        clicks, sales, refused = (
            records.filter(pc.equal(topics, name)) for name in (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)
        )
        events = [self._events(clicks, CLICKSTREAM.name), self._events(sales, TRANSACTIONS.name)]
        return Decoded(
            events=pa.concat_tables(events, promote_options="default"),
            rejected=self._decoded(refused, REJECTED.name),
        )

    def _events(self, records: pa.Table, topic: str) -> pa.Table:
        table = self._decoded(records, topic)
        if topic == TRANSACTIONS.name:
            table = table.rename_columns({"transaction_id": "event_id"})
        for name, values in header_columns(records["headers"], HEADERS).items():
            table = table.append_column(f"header_{name}", values)
        for name in EVENT_FIELDS:
            if name not in table.column_names and name not in _TIMES:
                table = table.append_column(name, pa.nulls(table.num_rows, _TYPES[name]))
        fields = [_TIMES.get(name, name) for name in EVENT_FIELDS]
        return table.select([*_PLACE, *fields, *(f"header_{name}" for name in HEADERS), "fault"])

    def _decoded(self, records: pa.Table, topic: str) -> pa.Table:
        table = _with_times_as_numbers(self._columns[topic].decode(records["value"]))
        for name in reversed(_PLACE):
            values = records["timestamp" if name == "log_time" else name]
            table = table.add_column(0, name, values)
        return table


def _with_times_as_numbers(table: pa.Table) -> pa.Table:
    """Times as integers, milliseconds: what nobody has checked yet may be beyond what a timestamp can be."""
    for name, milliseconds in _TIMES.items():
        if name in table.column_names:
            position = table.schema.get_field_index(name)
            table = table.set_column(position, milliseconds, table[name].cast(pa.int64()))
    return table


_TYPES: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(EVENT_FIELDS, pa.string()),
    "properties": pa.map_(pa.string(), pa.string()),
    "amount": pa.decimal128(18, 4),
    "quantity": pa.int32(),
}
"""Types of the fields that only one of the topics has."""
