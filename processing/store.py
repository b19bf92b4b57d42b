"""The serving store seen from the writing side: one connection, one writer, Arrow in by COPY.

Only one processor may write: the connection holds an advisory lock, and a second one is refused before it writes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from threading import Lock
from time import monotonic, sleep
from typing import Any, Final
from urllib.parse import quote

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, OperationalError, ProgrammingError, dbapi
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import contracts.alerts
import contracts.models
import contracts.projections
import contracts.rollups  # noqa: F401 - they join the metadata
from contracts.settings import PostgresSettings, ShopSettings
from contracts.tables import metadata
from contracts.views import VIEWS
from processing.errors import AnotherProcessorError

_LOCK_PATIENCE_SECONDS: Final = 2.0
_LOOKUPS: Final = {"enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Every statement of an epoch looks up few rows of large tables by key. Temporary tables have no statistics, and
without them the planner may think that reading a whole table is cheaper."""


def _column_type(arrow: pa.DataType) -> str:
    """The Postgres type that COPY expects for an Arrow column."""
    if pa.types.is_decimal(arrow):
        return "numeric"
    if pa.types.is_timestamp(arrow):
        return "timestamptz"
    if pa.types.is_list(arrow):
        return f"{_column_type(arrow.value_type)}[]"
    names = {
        pa.int16(): "smallint",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.bool_(): "boolean",
        pa.string(): "text",
        pa.binary(): "bytea",
    }
    return names[arrow]


class Transaction:
    """Statements of one open transaction. Everything it loads is gone when the transaction ends."""

    def __init__(self, cursor: Any, staging: set[str]) -> None:
        self._cursor = cursor
        self._staging = staging

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement whose rows, if any, nobody wants."""
        self._cursor.execute(sql, parameters=tuple(parameters) or None)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Run a statement and fetch its rows."""
        self._cursor.execute(sql, parameters=tuple(parameters) or None)
        return self._cursor.fetch_arrow_table()

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Run a statement and fetch its rows as they are asked for. Nothing else can be run until they are all read."""
        self._cursor.execute(sql)
        yield from self._cursor.fetch_record_batch()

    def load(self, name: str, table: pa.Table, *, fits_a_page: bool = False) -> None:
        """COPY an Arrow table into the temporary table `name`, made with the Arrow table's columns when first used.

        `fits_a_page`: no row can be longer than 8 kB. Postgres then keeps no second table for long values beside it;
        to empty those of all temporary tables is most of what a commit takes, whatever it has used of them.
        """
        if name not in self._staging:
            kept = " STORAGE PLAIN" if fits_a_page else ""
            columns = ", ".join(f'"{field.name}" {_column_type(field.type)}{kept}' for field in table.schema)
            self.execute(f'CREATE TEMP TABLE "{name}" ({columns}) ON COMMIT DELETE ROWS')
            self._staging.add(name)
        if table.num_rows:
            self._cursor.adbc_ingest(name, table, mode="append", temporary=True)

    def append(self, schema: str, name: str, table: pa.Table) -> None:
        """COPY an Arrow table straight into a table that stays."""
        if table.num_rows:
            self._cursor.adbc_ingest(name, table, mode="append", db_schema_name=schema)


def connect(settings: PostgresSettings, search_path: str, **options: str) -> Any:
    """A connection, in UTC. `options` are run-time settings of the server; no value may have a space."""
    chosen = {
        "search_path": search_path,
        "timezone": "UTC",
        "jit": "off",
        "application_name": "millrace-processing",
        "temp_buffers": "64MB",  # an epoch's rows are loaded into temporary tables, and need not go to disk
        # Of a client that was killed in the middle of a long statement the lock is free soon, not at its end.
        "client_connection_check_interval": "500",
    }
    texts = " ".join(f"-c {name}={value}" for name, value in (chosen | options).items())
    url = settings.url.get_secret_value()
    separator = "&" if "?" in url else "?"
    known = _known(f"{url}{separator}options={quote(texts)}&connect_timeout=10")
    with known.opening:
        connection = AdbcConnection(known.database)
    return dbapi.Connection(known, connection)  # type: ignore[arg-type] # all that it does with it is to close it


class _Known:
    """A database of which ADBC has read all types and columns, by a connection of its own that it has ended since.

    That costs several times what a connection does, so what was read is kept for those that follow.
    """

    def __init__(self, uri: str) -> None:
        self.database = adbc_driver_postgresql.connect(uri)
        self.opening = Lock()
        """ADBC counts connections, and leaves it to us that two threads do not do so at once."""

    def close(self) -> None:
        """A connection that is closed leaves it be."""


_known: Final = lru_cache(8)(_Known)
"""By its URI: what is known of the last few."""


@contextmanager
def one_transaction(settings: PostgresSettings, search_path: str, **options: str) -> Iterator[Transaction]:
    """A transaction on a connection of its own, beside the one writer; it commits at the end of the block."""
    connection = connect(settings, search_path, **options)
    try:
        with connection.cursor() as cursor:
            yield Transaction(cursor, set())
        connection.commit()
    finally:
        connection.close()


@cache
def create_statements(table: Table) -> tuple[str, ...]:
    """The SQL that makes a table with its indexes where it is not there yet."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    return (
        str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)),
        *(str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)) for index in indexes),
    )


def table_names(transaction: Transaction, schema: str) -> set[str]:
    """The tables in the schema."""
    rows = transaction.query("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = $1", (schema,))
    return set(rows["name"].to_pylist())


def create_tables(transaction: Transaction, schema: str) -> None:
    """Create the schema and every table of the contracts that is not there yet."""
    transaction.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    there = table_names(transaction, schema)
    for table in metadata.sorted_tables:
        if table.name not in there:
            for statement in create_statements(table):
                transaction.execute(statement)
    transaction.execute("INSERT INTO totals (epoch) VALUES (0) ON CONFLICT DO NOTHING")
    transaction.execute("INSERT INTO last_change DEFAULT VALUES ON CONFLICT DO NOTHING")


def create_views(transaction: Transaction, schema: str, shop: ShopSettings) -> None:
    """Create the views for other readers, or bring them to what they are now; one process at a time."""
    lock = f"millrace-views:{schema}"
    transaction.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", (lock,))
    for view in VIEWS:
        transaction.execute(view.statement(shop))


class Beside:
    """A connection that is kept, for who asks every few seconds; beside the one writer's, and for one thread at a time.

    It is opened on first use and again after a fault: connecting reads all of the database's types and columns, and
    costs more than most of what is asked.
    """

    def __init__(self, settings: PostgresSettings, search_path: str | None = None, **options: str) -> None:
        self._settings = settings
        self._search_path = search_path or settings.db_schema
        self._options = options
        self._connection: Any = None
        self._staging: set[str] = set()
        """Temporary tables that the connection has."""

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block, or leaves no trace when the block raises."""
        connection = self._connection or self._open()
        try:
            with connection.cursor() as cursor:
                yield Transaction(cursor, self._staging)
            connection.commit()
        except BaseException:
            # Also after an error of ours: a fresh connection is the one state we know to be clean.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, and with it release what locks it has."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (OperationalError, ProgrammingError):
                return  # the server has closed it before us

    def _open(self) -> Any:
        connection = connect(self._settings, self._search_path, **self._options)
        try:
            self._begin(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._staging = connection, set()
        return connection

    def _begin(self, connection: Any) -> None:
        """What a new connection needs before it is used."""


class Store(Beside):
    """The writing connection. Each opening takes the lock.

    With a `shadow`, it writes to that schema, whose tables hide those of the same name in the settings' schema; the
    lock is the shadow's. There is a lock per `role`: the watch writes tables of its own beside the processor.
    """

    def __init__(
        self, settings: PostgresSettings, shadow: str | None = None, *, role: str = "processing", **options: str
    ) -> None:
        path = f"{shadow},{settings.db_schema}" if shadow else settings.db_schema
        super().__init__(settings, path, **(options or _LOOKUPS))
        self._role = role
        self.schema = shadow or settings.db_schema

    def claim(self) -> None:
        """Take the lock now. Raises AnotherProcessorError where somebody else has it."""
        with self.transaction():
            pass

    def create_tables(self) -> None:
        """See the function."""
        with self.transaction() as transaction:
            create_tables(transaction, self.schema)

    def _begin(self, connection: Any) -> None:
        """Take the writer's lock. For a moment our last connection may have it still, which the server is ending."""
        deadline = monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", parameters=(self._lock_name,))
                (granted,) = cursor.fetchone()
            connection.commit()
            if granted:
                return
            if monotonic() > deadline:
                raise AnotherProcessorError(self.schema, self._role)
            sleep(0.01)

    @property
    def _lock_name(self) -> str:
        return f"millrace-{self._role}:{self.schema}"
