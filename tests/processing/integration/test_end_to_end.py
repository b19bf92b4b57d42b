"""The whole part as a process: real records in, tables, event log and results out, and every fault in between.

Two processors, each started few times, since a start costs ten seconds: one for what happens while it runs, one that
is killed again and again. Both are judged by the oracle.
"""

import json
import random
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from adbc_driver_postgresql import dbapi
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable
from pydantic import SecretStr

from contracts import topics
from contracts.settings import PostgresSettings, ShopSettings
from processing.batch import EVENT_LOG
from processing.deltas import DuckDeltas
from processing.ledger import TALLY
from processing.projections import build_projections
from stack.kafka import create_topics
from tests.processing.builders import Event, click, framed, rejection, sale
from tests.processing.expected import PROJECTED, Rows, expected, spelled
from tests.processing.integration.processor import Processor, Traffic, eventually, free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(290)]

HOUR_MS: Final = 3_600_000
ACTIONS: Final = ("page_view", "view", "click", "search", "add_to_cart", "remove_from_cart", "checkout_start", "scroll")
NOT_PUBLISHED: Final = ("users", "buyers", "path", "first_event", "entry_event", "exit_event")


class Reader:
    """Reads a processor's tables from beside it, as serving does."""

    def __init__(self, postgres: PostgresSettings) -> None:
        self._schema = postgres.db_schema
        self._connection = dbapi.connect(postgres.url.get_secret_value(), autocommit=True)
        self.query("SELECT set_config('TimeZone', 'UTC', false), set_config('search_path', $1, false)", self._schema)

    def query(self, sql: str, *parameters: str) -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters=parameters or None)
            rows: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return rows

    def totals(self) -> dict[str, int]:
        (row,) = self.query(f"SELECT {', '.join(TALLY)} FROM totals")
        return row

    def epochs(self) -> tuple[int, int, int]:
        """Last epoch committed, last epoch in the event log, rows in the event log."""
        (row,) = self.query("SELECT epoch, log_epoch, log_rows FROM totals")
        return row["epoch"], row["log_epoch"], row["log_rows"]

    def has_read(self, records: int) -> bool:
        return self.totals()["records"] == records

    def held(self) -> dict[str, Rows]:
        return {
            table.name: spelled(table.name, pa.Table.from_pylist(self.query(f"SELECT * FROM {table.name}")))
            for table in PROJECTED
        }

    def end_processors_connection(self) -> int:
        """Terminate the backend that holds the writer's lock of this schema; returns how many there were."""
        rows = self.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0)",
            f"millrace-processing:{self._schema}",
        )
        return len(rows)

    def close(self) -> None:
        self._connection.close()


@dataclass
class Bench:
    """A processor, its traffic and a reader of what it writes."""

    processor: Processor
    traffic: Traffic
    reader: Reader
    facts: dict[str, Any] = field(default_factory=dict)

    def settle(self) -> None:
        """Wait until everything sent has been read."""
        self.traffic.flush()
        eventually(lambda: self.reader.has_read(self.traffic.records), f"{self.traffic.records} records in the ledger")

    def logged_events(self) -> pa.Table:
        return DeltaTable(str(self.processor.delta / "events")).to_pyarrow_table().select(EVENT_LOG.names)


@pytest.fixture(scope="module")
def bench_maker(
    kafka_bootstrap: str, postgres_url: str, spark_jars: Path, java_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    benches: list[Bench] = []

    def make(**settings: str) -> Bench:
        name = f"t{uuid.uuid4().hex}"
        create_topics(kafka_bootstrap, topics.ALL, f"{name}-")
        postgres = PostgresSettings(url=SecretStr(postgres_url), db_schema=name)
        home = tmp_path_factory.mktemp("processor")
        processor = Processor(
            home, spark_jars, java_home, kafka_bootstrap, f"{name}-", postgres, free_port(), dict(settings)
        )
        bench = Bench(processor, Traffic(kafka_bootstrap, f"{name}-"), Reader(postgres))
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.reader.close()
        if bench.processor.child is not None:
            bench.processor.kill()


def visits(dice: random.Random, name: str, count: int, newest_ms: int, spread_ms: int) -> Iterator[Event]:
    """Events of a small shop, a tenth of them repeated and a few of those changed, up to `spread_ms` old."""
    for number in range(count):
        user = dice.randrange(20)
        shared: Event = {
            "user_id": f"user-{user}",
            "session_id": f"session-{user}-{dice.randrange(2)}",
            "timestamp": newest_ms - dice.randrange(spread_ms),
        }
        product = dice.randrange(12)
        event = (
            sale(
                f"{name}-t{number}",
                **shared,
                product_id=f"p{product}",
                category=f"c{product % 3}",
                amount=Decimal(dice.randrange(10**6)).scaleb(-2).quantize(Decimal("0.0001")),
                quantity=dice.randint(1, 4),
                kind="refund" if dice.random() < 0.1 else "purchase",
            )
            if dice.random() < 0.2
            else click(
                f"{name}-e{number}",
                **shared,
                product_id=f"p{product}" if dice.random() < 0.8 else None,
                category=f"c{product % 3}" if dice.random() < 0.8 else None,
                action=dice.choice(ACTIONS),
                page_url=dice.choice((None, f"/p{product}", "/ünï")),
                properties={"k": "v"} if dice.random() < 0.2 else {},
            )
        )
        yield event
        if dice.random() < 0.1:
            yield dict(event)
        if dice.random() < 0.02:
            yield event | {"product_id": "changed"}


def poison(traffic: Traffic) -> None:
    """Records that must be quarantined, one per kind of door."""
    traffic.poison(topics.CLICKSTREAM, [None, b"", b"\x00\x00", b"{}", framed(click())[:-2], framed(click("a\nb"))])
    traffic.poison(topics.CLICKSTREAM, [framed(click(page_url="\0")), framed(click())[:5] + b"\x80\x80\x80\x80\x07"])
    traffic.poison(topics.TRANSACTIONS, [framed(click()), framed(sale(quantity=0)), framed(sale(currency="EUR"))])
    traffic.poison(topics.REJECTED, [b"\x00", framed(rejection(detail="\0"))])


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture(scope="module")
def calm(bench_maker: Any) -> Bench:
    """What happens to a processor that is not killed: all kinds of traffic, a rival, a lost connection, a SIGTERM."""
    bench: Bench = bench_maker(LOG_INTERVAL_SECONDS="2", EPOCH_INTERVAL_MS="200")
    processor, traffic, reader, facts = bench.processor, bench.traffic, bench.reader, bench.facts
    dice = random.Random(1)
    processor.start()
    processor.await_ready()
    traffic.send(visits(dice, "now", 1500, now_ms(), 120_000))
    poison(traffic)
    traffic.reject(rejection(f"r{n}", reason="invalid_id", received_at=now_ms()) for n in range(20))
    bench.settle()
    (mark,) = reader.query("SELECT watermark FROM epochs ORDER BY epoch DESC LIMIT 1")
    assert mark["watermark"].timestamp() * 1000 > now_ms() - HOUR_MS
    traffic.send(visits(dice, "late", 100, now_ms() - HOUR_MS, HOUR_MS), late=True)
    traffic.send(visits(dice, "imported", 300, now_ms() - 24 * HOUR_MS, 48 * HOUR_MS), imported=True)
    bench.settle()

    rival = Processor(**{**vars(processor), "port": free_port(), "child": None})
    rival.start()
    facts["rival's exit"] = rival.await_exit()
    facts["rival's reason"] = [line["reason"] for line in rival.logged("stopped")]
    traffic.send(visits(dice, "beside-a-rival", 100, now_ms(), 60_000))
    bench.settle()

    facts["connections ended"] = reader.end_processors_connection()
    traffic.send(visits(dice, "connection-lost", 100, now_ms(), 60_000))
    bench.settle()
    facts["faults"] = len(processor.logged("query_failed"))
    facts["held"], facts["totals"] = reader.held(), reader.totals()
    facts["results"] = last_results(processor)
    facts["published"] = {table.name: published_rows(reader, table.name) for table in PROJECTED}
    facts["books"] = reader.query("SELECT * FROM books")
    facts["wanted"] = dict(traffic.totals), expected([*traffic.first.values()], frozenset(traffic.late))

    # Asked to stop in the middle of traffic: what is committed by then is in the log too.
    ending = threading.Event()
    sender = threading.Thread(target=keep_sending, args=(traffic, ending, random.Random(2)))
    sender.start()
    epoch = reader.epochs()[0]
    eventually(lambda: reader.epochs()[0] > epoch + 2, "epochs under load")
    facts["exit"] = processor.stop()
    ending.set()
    sender.join()
    return bench


def keep_sending(traffic: Traffic, ending: threading.Event, dice: random.Random) -> None:
    """About 400 events a second until told to end."""
    for number in range(10_000):
        if ending.is_set():
            break
        traffic.send(visits(dice, f"load-{number}", 20, now_ms(), 60_000))
        time.sleep(0.05)
    traffic.flush()


def last_results(processor: Processor) -> dict[str, dict[tuple[str, ...], Any]]:
    """By projection and key: the last row of each in the results topic, without those that are gone."""
    topic = processor.topic_prefix + topics.RESULTS.name
    consumer = Consumer({"bootstrap.servers": processor.bootstrap, "group.id": topic, "enable.partition.eof": False})
    found: dict[str, dict[tuple[str, ...], Any]] = {table.name: {} for table in PROJECTED}
    for number in range(topics.RESULTS.partitions):
        partition = TopicPartition(topic, number, 0)
        _, end = consumer.get_watermark_offsets(partition, timeout=10)
        consumer.assign([partition])
        while partition.offset < end:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            key, value, offset = message.key(), message.value(), message.offset()
            assert key is not None
            assert offset is not None
            projection, _, row_key = key.decode().partition(":")
            identity = tuple(json.loads(row_key).values())
            found[projection].pop(identity, None)
            if value is not None:
                found[projection][identity] = json.loads(value)["row"]
            partition.offset = offset + 1
    consumer.close()
    return found


def published_rows(reader: Reader, name: str) -> dict[tuple[str, ...], Any]:
    """The rows of a table as the results topic must have them."""
    (table,) = (table for table in PROJECTED if table.name == name)
    rows = (json.loads(row["row"]) for row in reader.query(f"SELECT to_jsonb(t)::text AS row FROM {name} t"))
    return {
        tuple(row[key.name] for key in table.primary_key): {k: v for k, v in row.items() if k not in NOT_PUBLISHED}
        for row in rows
    }


def test_every_table_equals_the_oracle(calm: Bench) -> None:
    _, wanted = calm.facts["wanted"]
    assert calm.facts["held"] == wanted


def test_every_record_is_in_the_books_once(calm: Bench) -> None:
    wanted, _ = calm.facts["wanted"]
    assert calm.facts["totals"] == wanted
    assert wanted["records"] == sum(wanted[name] for name in ("applied", "duplicates", "quarantined", "rejected"))
    assert min(wanted.values()) > 0
    books = calm.facts["books"]
    assert sum(row["next_offset"] - row["first_offset"] for row in books) == wanted["records"]
    assert {row["gaps"] for row in books} == {0}


def test_what_is_not_an_event_is_kept_as_a_row(calm: Bench) -> None:
    kept = calm.reader.query(
        "SELECT (SELECT count(*) FROM quarantine) AS q, (SELECT count(*) FROM rejected_events) AS r"
    )
    assert kept == [{"q": calm.traffic.quarantined, "r": calm.traffic.rejected}]
    reasons = {row["reason"] for row in calm.reader.query("SELECT DISTINCT reason FROM quarantine")}
    wanted = {"unknown_schema", "malformed_avro", "invalid_id", "invalid_text", "invalid_quantity"}
    assert reasons == wanted | {"currency_not_accepted"}


def test_the_results_topic_ends_at_the_rows_of_the_tables(calm: Bench) -> None:
    assert calm.facts["results"] == calm.facts["published"]


def test_a_second_processor_exits_with_the_reason_and_the_first_goes_on(calm: Bench) -> None:
    assert calm.facts["rival's exit"] == 1
    (reason,) = calm.facts["rival's reason"]
    assert "another processor" in reason
    assert calm.processor.postgres.db_schema in reason


def test_a_lost_database_connection_is_recovered_from(calm: Bench) -> None:
    assert calm.facts["connections ended"] == 1
    assert calm.facts["faults"] >= 1


def test_a_stop_under_load_exits_with_0_and_leaves_nothing_out_of_the_log(calm: Bench) -> None:
    assert calm.facts["exit"] == 0
    epoch, log_epoch, log_rows = calm.reader.epochs()
    assert log_epoch == epoch
    assert log_rows == calm.reader.totals()["applied"] == calm.logged_events().num_rows


def test_the_projections_of_the_event_log_are_the_tables(calm: Bench) -> None:
    held = calm.reader.held()
    for projection, delta in DuckDeltas().deltas(calm.logged_events(), build_projections(ShopSettings())):
        assert spelled(projection.name, delta) == held[projection.name]


def test_kills_at_any_moment_and_a_lost_checkpoint_change_no_number(bench_maker: Any) -> None:
    # So long an interval that nothing is appended to the log before a kill: each start finds it behind the ledger.
    bench: Bench = bench_maker(LOG_INTERVAL_SECONDS="3600", EPOCH_INTERVAL_MS="500", MAX_EVENTS_PER_EPOCH="4000")
    processor, traffic, reader = bench.processor, bench.traffic, bench.reader
    dice = random.Random(3)
    ending = threading.Event()
    sender = threading.Thread(target=keep_sending, args=(traffic, ending, dice))
    processor.start()
    processor.await_ready()
    sender.start()
    behind = []
    for kill in range(3):
        epoch = reader.epochs()[0]
        eventually(lambda epoch=epoch: reader.epochs()[0] > epoch + 2, "epochs between kills")  # type: ignore[misc]  # bound now
        time.sleep(dice.random() / 2)
        processor.kill()
        committed, logged, _ = reader.epochs()
        behind.append(committed - logged)
        if kill == 1:
            shutil.rmtree(processor.home / f"checkpoint-{processor.port}")
        processor.start()
    ending.set()
    sender.join()
    poison(traffic)
    traffic.send(visits(dice, "imported", 200, now_ms() - 24 * HOUR_MS, 48 * HOUR_MS), imported=True)
    bench.settle()
    assert processor.stop() == 0

    assert min(behind) > 0
    assert reader.totals() == traffic.totals
    assert {row["gaps"] for row in reader.query("SELECT gaps FROM books")} == {0}
    assert reader.held() == expected([*traffic.first.values()])
    logged = bench.logged_events()
    ids = zip(logged["topic"].to_pylist(), logged["event_id"].to_pylist(), strict=True)
    assert sorted(ids) == sorted(traffic.first)
    epoch, log_epoch, log_rows = reader.epochs()
    assert (log_epoch, log_rows) == (epoch, len(traffic.first))
    for projection, delta in DuckDeltas().deltas(logged, build_projections(ShopSettings())):
        assert spelled(projection.name, delta) == reader.held()[projection.name]
