"""The writing connection against a real Postgres."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pyarrow as pa
import pytest
from adbc_driver_manager import OperationalError, ProgrammingError

from contracts.settings import PostgresSettings
from contracts.tables import metadata
from processing.errors import AnotherProcessorError
from processing.store import Beside, Store
from tests.forked import FORKED
from tests.processing.integration.processor import eventually

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

EVERY_TYPE = pa.table(
    {
        "small": pa.array([-(2**15), 2**15 - 1, None], pa.int16()),
        "int": pa.array([-(2**31), 2**31 - 1, None], pa.int32()),
        "big": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
        "flag": pa.array([True, False, None], pa.bool_()),
        "text": pa.array(["Ünï 日本 🛒\n\t\\N", "", None], pa.string()),
        "bytes": pa.array([b"\x00\xff", b"", None], pa.binary()),
        "time": pa.array([NOON, datetime(1970, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "money": pa.array([Decimal("99999999999999.9999"), Decimal("-0.0001"), None], pa.decimal128(38, 4)),
        "price": pa.array([Decimal("99999999999999.9999"), Decimal("0.0000"), None], pa.decimal128(18, 4)),
        "texts": pa.array([["a", "", "{},\"'"], [], None], pa.list_(pa.string())),
    }
)


@pytest.fixture
def second(postgres: PostgresSettings) -> Iterator[Store]:
    """Another processor on the same schema."""
    store = Store(postgres)
    yield store
    store.close()


SLEEP = "SELECT pg_sleep(60)::text"


def wait_in_the_database(postgres: PostgresSettings) -> None:
    """A processor in a statement that takes its time."""
    with Store(postgres).transaction() as transaction:
        transaction.query(SLEEP)


def sleepers(beside: Beside) -> int:
    asked = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    with beside.transaction() as transaction:  # each its own: within one, activity is as at the first look
        return len(transaction.query(asked).to_pylist())


async def execute(postgres: PostgresSettings, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(postgres.url.get_secret_value())
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql)
        return rows
    finally:
        await connection.close()


def test_every_type_of_column_arrives_as_it_was(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.load("every_type", EVERY_TYPE)
        back = transaction.query("SELECT * FROM every_type").to_pydict()
    money = {name: [None if text is None else Decimal(text) for text in back[name]] for name in ("money", "price")}
    assert back | money == EVERY_TYPE.to_pydict()


def test_a_load_appends_within_a_transaction_and_is_gone_after_it(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.load("every_type", EVERY_TYPE)
        transaction.load("every_type", EVERY_TYPE.slice(0, 1))
        assert transaction.query("SELECT count(*) AS n FROM every_type").to_pylist() == [{"n": 4}]
    with store.transaction() as transaction:
        transaction.load("every_type", EVERY_TYPE.slice(0, 0))
        assert transaction.query("SELECT count(*) AS n FROM every_type").to_pylist() == [{"n": 0}]


def test_the_tables_of_the_contract_are_made_and_a_second_time_nothing_changes(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.execute("UPDATE totals SET records = 7")
    store.create_tables()
    with store.transaction() as transaction:
        made = transaction.query("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        assert set(made["tablename"].to_pylist()) == set(metadata.tables)
        assert transaction.query("SELECT records FROM totals").to_pylist() == [{"records": 7}]


def test_an_error_leaves_nothing_of_its_transaction_behind(store: Store) -> None:

    def fail() -> None:
        with store.transaction() as transaction:
            transaction.execute("UPDATE totals SET records = 7")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.transaction() as transaction:
        assert transaction.query("SELECT records FROM totals").to_pylist() == [{"records": 0}]


def test_a_statement_that_fails_leaves_nothing_and_the_next_transaction_works(store: Store) -> None:

    def fail() -> None:
        with store.transaction() as transaction:
            transaction.execute("UPDATE totals SET records = 7")
            transaction.execute("SELECT * FROM no_such_table")

    with pytest.raises(ProgrammingError, match="no_such_table"):
        fail()
    with store.transaction() as transaction:
        assert transaction.query("SELECT records FROM totals").to_pylist() == [{"records": 0}]


async def test_times_are_spoken_in_utc_whatever_the_server_prefers(postgres: PostgresSettings) -> None:
    (database,) = (row["name"] for row in await execute(postgres, "SELECT current_database() AS name"))
    await execute(postgres, f"ALTER DATABASE {database} SET timezone TO 'Asia/Tokyo'")
    store = Store(postgres)
    try:
        with store.transaction() as transaction:
            assert transaction.query("SELECT current_setting('TimeZone') AS zone").to_pylist() == [{"zone": "UTC"}]
    finally:
        store.close()
        await execute(postgres, f"ALTER DATABASE {database} RESET timezone")


def test_a_second_processor_is_refused_by_name_before_it_writes(
    store: Store, second: Store, postgres: PostgresSettings
) -> None:
    for attempt in (second.create_tables, second.transaction().__enter__):
        with pytest.raises(AnotherProcessorError, match=postgres.db_schema):
            attempt()
    with store.transaction() as transaction:
        assert transaction.query("SELECT count(*) AS n FROM totals").to_pylist() == [{"n": 1}]


def test_processors_on_different_schemas_do_not_meet(store: Store, postgres: PostgresSettings) -> None:
    other = Store(PostgresSettings(url=postgres.url, db_schema=postgres.db_schema[:-1] + "_"))
    other.create_tables()
    other.close()


def test_a_second_processor_can_start_once_the_first_has_closed(store: Store, second: Store) -> None:
    store.close()
    with second.transaction() as transaction:
        transaction.execute("UPDATE totals SET records = 1")


def test_the_lock_of_a_processor_that_is_killed_in_a_long_statement_is_soon_free(
    store: Store, second: Store, postgres: PostgresSettings
) -> None:
    store.close()
    killed = FORKED.Process(target=wait_in_the_database, args=(postgres,))
    killed.start()
    with closing(Beside(postgres)) as beside:
        eventually(lambda: sleepers(beside) == 1, "its statement")
    killed.kill()
    killed.join(20)
    second.claim()


def test_after_a_fault_the_next_transaction_need_not_wait_for_the_server_to_end_the_last(store: Store) -> None:
    for _ in range(20):
        with pytest.raises(ZeroDivisionError), store.transaction():
            raise ZeroDivisionError
    with store.transaction() as transaction:
        transaction.execute("UPDATE totals SET records = 1")


async def test_a_second_processor_takes_over_when_the_first_connection_is_gone_and_the_first_stays_out(
    store: Store, second: Store, postgres: PostgresSettings
) -> None:

    async def lose_the_connection() -> None:
        with store.transaction() as transaction:
            transaction.execute("UPDATE totals SET records = 7")
            pid = transaction.query("SELECT pg_backend_pid() AS pid").to_pylist()[0]["pid"]
            await execute(postgres, f"SELECT pg_terminate_backend({pid}, 5000)")

    with pytest.raises(OperationalError):
        await lose_the_connection()
    with second.transaction() as transaction:
        assert transaction.query("SELECT records FROM totals").to_pylist() == [{"records": 0}]
    with pytest.raises(AnotherProcessorError), store.transaction():
        pass


async def test_a_connection_that_was_ended_while_idle_is_replaced(store: Store, postgres: PostgresSettings) -> None:
    with store.transaction() as transaction:
        pid = transaction.query("SELECT pg_backend_pid() AS pid").to_pylist()[0]["pid"]
    await execute(postgres, f"SELECT pg_terminate_backend({pid}, 5000)")
    with pytest.raises(OperationalError), store.transaction() as transaction:
        transaction.execute("UPDATE totals SET records = 7")
    with store.transaction() as transaction:
        assert transaction.query("SELECT records FROM totals").to_pylist() == [{"records": 0}]
