"""The shadow tables: a schema of their own beside the live one, with the same tables made by the same statements.

Unqualified names find a shadow table where there is one, and the live table or the ledger where there is none: what the
stream runs to fold an epoch runs here as it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from contracts.settings import PostgresSettings
from processing.errors import AnotherProcessorError
from processing.projection import Projection
from processing.rebuild.plan import RebuildError
from processing.store import Store, Transaction, create_statements

_SUFFIX = "_rebuild"
_LONGEST_NAME = 63  # of Postgres


class Shadow:
    """The shadow tables of some projections. One rebuild has them at a time: the connection holds the schema's lock."""

    def __init__(self, postgres: PostgresSettings, projections: Sequence[Projection]) -> None:
        self.schema = postgres.db_schema[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX
        self._projections = projections
        self._store = Store(postgres, self.schema)

    def make(self) -> None:
        """Make the tables, empty and without keys and indexes; what a rebuild that was killed has left is removed."""
        try:
            self.drop()
        except AnotherProcessorError as error:
            raise RebuildError("another rebuild of this store is running; wait for it, or stop it first") from error
        with self._store.transaction() as transaction:
            transaction.execute(f'CREATE SCHEMA "{self.schema}"')
            for projection in self._projections:
                transaction.execute(create_statements(projection.table)[0])
                transaction.execute(f"ALTER TABLE {projection.name} DROP CONSTRAINT {projection.name}_pkey")

    def load(self, projection: Projection, rows: pa.Table) -> None:
        """Add rows that are final: no two of all that are ever loaded have the same key."""
        with self._store.transaction() as transaction:
            transaction.append(self.schema, projection.name, rows)

    def complete(self, projection: Projection) -> None:
        """Make the table's key and indexes."""
        with self._store.transaction() as transaction:
            keys = ", ".join(projection.keys)
            transaction.execute(f"ALTER TABLE {projection.name} ADD PRIMARY KEY ({keys})")
            for statement in create_statements(projection.table)[1:]:
                transaction.execute(statement)
            transaction.execute(f"ANALYZE {projection.name}")

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator[Transaction]:
        """A transaction on the shadow tables and the ledger, from one snapshot if asked. Raises RebuildError."""
        with self._store.transaction() as transaction:
            if snapshot:
                transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            names = [projection.name for projection in self._projections]
            there = transaction.query(
                "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = $1", (self.schema,)
            )
            if set(there["name"].to_pylist()) != set(names):
                raise RebuildError(f"somebody changed the schema {self.schema} while it was filled")
            yield transaction

    def drop(self) -> None:
        """Remove the schema and what is left in it."""
        with self._store.transaction() as transaction:
            transaction.execute(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE')

    def close(self) -> None:
        """Close the connection."""
        self._store.close()
