"""What the system holds of a run, read where it lies: the broker's records, the event log, the kept tables.

Everything is read from the marks on, which are set before the first event is sent.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import adbc_driver_postgresql.dbapi as postgres
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import Error as DatabaseError
from confluent_kafka import Consumer, KafkaException, TopicPartition
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from contracts.settings import KafkaSettings, LogSettings, PostgresSettings
from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from loadtest.oracle import SESSION_GAP

READ_TOPICS: Final = (CLICKSTREAM, TRANSACTIONS, REJECTED)
Place = tuple[str, int]
"""Topic without the prefix, and partition."""

RECORDS: Final = pa.schema(
    [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("event_id", pa.string())]
)
_APPLIED: Final = ["topic", "partition", "offset", "event_id", "epoch"]
_PAUSE_SECONDS: Final = 0.5
_CONSUMED_AT_ONCE: Final = 5000


class HoldingsError(Exception):
    """Broker, database or event log did not let themselves be read."""


class UnsettledError(Exception):
    """The records were not all in an epoch and in the event log when the time was over; the message says what is."""


@dataclass(frozen=True)
class Marks:
    """Where a run begins."""

    ends: dict[Place, int]
    """End offset of each partition."""
    epoch: int
    """Newest epoch; 0 before the first."""
    totals: dict[str, int]
    """The books' sums."""


@dataclass(frozen=True)
class RestOn:
    """Of which users, sessions and orders earlier events are wanted."""

    users: set[str]
    sessions: set[str]
    orders: set[str]


class Holdings:
    """Reads them. Nothing is kept open."""

    def __init__(self, kafka: KafkaSettings, store: PostgresSettings, log: LogSettings) -> None:
        self._kafka, self._store = kafka, store
        self._events = str(log.path / "events")

    def mark(self) -> Marks:
        """The state now. Raises HoldingsError."""
        totals = self.totals()
        return Marks(self.ends(), totals.get("epoch", 0), totals)

    def ends(self) -> dict[Place, int]:
        """End offsets, asked of the broker."""
        with self._consumer() as consumer:
            return {
                (topic.name, number): consumer.get_watermark_offsets(self._partition(topic.name, number), timeout=20)[1]
                for topic in READ_TOPICS
                for number in range(topic.partitions)
            }

    def totals(self) -> dict[str, int]:
        """The books' sums over all epochs; empty before the first."""
        rows = self.rows("SELECT * FROM totals")
        return {name: value for name, value in rows[0].items() if type(value) is int} if rows else {}

    async def settled(self, seconds: float) -> Marks:
        """Wait until every record is in an epoch and every applied event in the log. Raises UnsettledError."""
        deadline, last = time.monotonic() + seconds, "nothing could be read"
        while time.monotonic() < deadline:
            try:
                now = await asyncio.to_thread(self.mark)
                behind = await asyncio.to_thread(self._behind, now)
            except HoldingsError as error:
                behind = str(error)
            else:
                if behind is None:
                    return now
            last = behind
            await asyncio.sleep(_PAUSE_SECONDS)
        raise UnsettledError(f"after {seconds:.0f} s: {last}")

    def records(self, since: Marks, until: Marks) -> pa.Table:
        """The broker's records between two marks; columns of `RECORDS`. Ids of refusals are not read."""
        topics: list[str] = []
        partitions: list[int] = []
        offsets: list[int] = []
        ids: list[str | None] = []
        with self._consumer() as consumer:
            for (topic, number), end in until.ends.items():
                has_id = topic != REJECTED.name
                for offset, value in self._between(consumer, topic, number, since.ends.get((topic, number), 0), end):
                    topics.append(topic)
                    partitions.append(number)
                    offsets.append(offset)
                    ids.append(first_text(value) if has_id else None)
        return pa.table([topics, partitions, offsets, ids], schema=RECORDS)

    def applied(self, since: Marks) -> pa.Table:
        """Rows of the event log of later epochs: where each event is in Kafka, its id and its epoch."""
        try:
            table = DeltaTable(self._events)
        except TableNotFoundError:
            return pa.table({name: [] for name in _APPLIED})
        return pa.table(table.to_pyarrow_table(columns=_APPLIED, filters=[("epoch", ">", since.epoch)]))

    def earlier(self, since: Marks, start: datetime) -> pa.Table:
        """Events from `start` on that were there before the run, as the log has them."""
        return self._logged(pc.field("timestamp") >= start, since)

    def before(self, since: Marks, start: datetime, rest_on: RestOn) -> pa.Table:
        """Events ahead of `start` that were there before the run and that answers about the time after rest on."""
        near = pc.field("timestamp") >= start - SESSION_GAP
        chosen = pc.field("user_id").isin(pa.array(rest_on.users, pa.string()))
        chosen |= pc.field("order_id").isin(pa.array(rest_on.orders, pa.string()))
        chosen |= near & pc.field("session_id").isin(pa.array(rest_on.sessions, pa.string()))
        return self._logged((pc.field("timestamp") < start) & chosen, since)

    def _logged(self, which: pc.Expression, since: Marks) -> pa.Table:
        columns = ["topic", "event_id", "user_id", "session_id", "product_id", "category", "action", "timestamp"]
        columns += ["page_url", "amount", "quantity", "kind", "order_id"]
        try:
            table = DeltaTable(self._events)
        except TableNotFoundError:
            return pa.table({name: [] for name in columns})
        earlier = (pc.field("epoch") <= since.epoch) & which
        return pa.table(table.to_pyarrow_dataset().to_table(columns=columns, filter=earlier))

    def kept(self, table: str, columns: str, since: Marks) -> pa.Table:
        """Rows of a table of `contracts.tables` of later epochs."""
        return self._arrow(f"SELECT {columns} FROM {table} WHERE epoch > {since.epoch:d}")  # noqa: S608 - no input

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What a statement finds. Raises HoldingsError."""
        found: list[dict[str, Any]] = self._arrow(statement).to_pylist()
        return found

    def _arrow(self, statement: str) -> pa.Table:
        try:
            with postgres.connect(self._store.url.get_secret_value()) as connection, connection.cursor() as cursor:
                cursor.execute(f'SET search_path TO "{self._store.db_schema}"')
                cursor.execute(statement)
                return cursor.fetch_arrow_table()
        except DatabaseError as error:
            raise HoldingsError(f"Postgres: {error}") from error

    def _behind(self, now: Marks) -> str | None:
        """What is not in an epoch or in the log yet, in words."""
        read = {(row["topic"], row["partition"]): row["next_offset"] for row in self.rows("SELECT * FROM books")}
        unread = sum(end - read.get(place, 0) for place, end in now.ends.items() if end)
        if unread:
            return f"{unread} records are in no epoch"
        applied, erased, logged = (now.totals.get(name, 0) for name in ("applied", "erased", "log_rows"))
        unlogged = applied - erased - logged
        return f"{unlogged} events are not in the event log" if unlogged else None

    def _between(
        self, consumer: Consumer, topic: str, number: int, start: int, end: int
    ) -> Iterator[tuple[int, bytes]]:
        if start >= end:
            return
        consumer.assign([self._partition(topic, number, start)])
        next_offset = start
        while next_offset < end:
            # No more than there are: it waits for as many as it is asked for.
            messages = consumer.consume(min(_CONSUMED_AT_ONCE, end - next_offset), timeout=20)
            if not messages:
                raise HoldingsError(f"the broker gave nothing of {topic}/{number} after offset {next_offset}")
            for message in messages:
                if message.error():
                    raise HoldingsError(f"the broker: {message.error()}")
                offset = message.offset()
                if offset is None or offset >= end:
                    return
                next_offset = offset + 1
                yield offset, message.value() or b""

    def _partition(self, topic: str, number: int, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._kafka.topic_prefix + topic, number, offset)

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(
            {"bootstrap.servers": self._kafka.bootstrap, "group.id": "millrace-audit", "enable.auto.commit": False}
        )
        try:
            yield consumer
        except KafkaException as error:
            raise HoldingsError(f"the broker: {error.args[0]}") from error
        finally:
            consumer.close()


def first_text(value: bytes) -> str | None:
    """The first field of a framed Avro record where it is a string (event ids are); None where it is no such thing."""
    if len(value) < 6 or value[0] != 0:
        return None
    length, shift, at = 0, 0, 5
    while True:
        if at >= len(value) or shift > 28:
            return None
        byte = value[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            break
    size = length >> 1
    if length & 1 or at + size > len(value):
        return None
    try:
        return value[at : at + size].decode()
    except UnicodeDecodeError:
        return None
