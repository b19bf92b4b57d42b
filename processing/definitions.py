"""What the store's tables were made by, held against this version's definitions before anything is written.

A fingerprint is kept of the SQL that makes a table and, for a projection, of its delta: numbers counted by two
definitions (another session gap is another definition) must not be added up. A projection that differs has to be
rebuilt from the log. Of the other tables nothing can be rebuilt; those are brought up to date where columns that may be
empty are all that is missing.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import MetaData, Table

from contracts.settings import ShopSettings
from contracts.tables import definitions, metadata
from processing.errors import DefinitionsError
from processing.projection import Projection
from processing.store import Store, Transaction, create_statements, create_tables, create_views, table_names


def prepare(store: Store, projections: tuple[Projection, ...], shop: ShopSettings) -> None:
    """Make what tables are missing, and the views.

    Raises DefinitionsError, with nothing changed, where others have to be rebuilt.
    """
    with store.transaction() as transaction:
        transaction.execute(f'CREATE SCHEMA IF NOT EXISTS "{store.schema}"')
        if stale := prepare_ledger(transaction, store.schema, projections):
            raise DefinitionsError(
                f"{', '.join(stale)} {'holds' if len(stale) == 1 else 'hold'} what another version, or other settings,"
                " made of the events. `millrace rebuild` makes them again from the event log; then start again"
            )
        create_tables(transaction, store.schema)
        create_views(transaction, store.schema, shop)
        record(transaction, fingerprints(projections))


def prepare_ledger(transaction: Transaction, schema: str, projections: tuple[Projection, ...]) -> list[str]:
    """Make all other tables this version's. Returns the projections that do not hold the whole log by its definitions.

    Raises DefinitionsError where another version made those other tables otherwise.
    """
    there, wanted = table_names(transaction, schema), fingerprints(projections)
    known = _known(transaction) if definitions.name in there else {}
    has_epochs = "epochs" in there and transaction.query("SELECT FROM epochs LIMIT 1").num_rows > 0
    names = [projection.name for projection in projections]
    others = sorted(wanted.keys() - set(names))
    for name in others:
        if name in there and known.get(name) == wanted[name]:
            continue
        if name in there:
            _add_missing_columns(transaction, schema, metadata.tables[name])
        for statement in create_statements(metadata.tables[name]):
            transaction.execute(statement)
    record(transaction, {name: wanted[name] for name in others})
    return [name for name in names if (name in there or has_epochs) and known.get(name) != wanted[name]]


def fingerprints(projections: Iterable[Projection]) -> dict[str, str]:
    """Hash of the definition of every table of the contracts, by name."""
    of_projections = {projection.name: (projection.delta, projection.fold.met) for projection in projections}
    return {
        name: hashlib.sha256("\0".join((*create_statements(table), *of_projections.get(name, ()))).encode()).hexdigest()
        for name, table in metadata.tables.items()
    }


def record(transaction: Transaction, made: dict[str, str]) -> None:
    """Note that these tables are made by the definitions of these fingerprints."""
    for name, fingerprint in sorted(made.items() - _known(transaction).items()):
        transaction.execute(
            f"INSERT INTO {definitions.name} (name, fingerprint) VALUES ($1, $2)"
            " ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint",
            (name, fingerprint),
        )


def _known(transaction: Transaction) -> dict[str, str]:
    rows = transaction.query(f"SELECT name, fingerprint FROM {definitions.name}").to_pylist()
    return {row["name"]: row["fingerprint"] for row in rows}


def _add_missing_columns(transaction: Transaction, schema: str, table: Table) -> None:
    """Compare with a table made for comparison, so that it is Postgres who says what a column is."""
    twin = table.to_metadata(MetaData(), name=f"wanted_{table.name}", schema="pg_temp")
    transaction.execute(create_statements(twin)[0])
    wanted, held = _columns(transaction, f"pg_temp.{twin.name}"), _columns(transaction, f'"{schema}".{table.name}')
    transaction.execute(f"DROP TABLE pg_temp.{twin.name}")
    others = sorted(name for name, column in held.items() if wanted.get(name) != column)
    missing = [name for name in wanted if name not in held]
    required = [name for name in missing if not table.columns[name].nullable and not table.columns[name].server_default]
    if others or required:
        raise DefinitionsError(
            f"table {table.name} was made by another version: {', '.join((*others, *required))} differ, and no log has"
            " what they hold. Run the version that made it, or start with a new Postgres schema and Delta folder"
        )
    for name in missing:
        default = f" DEFAULT {wanted[name][1]}" if wanted[name][1] else ""
        required_too = "" if table.columns[name].nullable else " NOT NULL"
        transaction.execute(f'ALTER TABLE {table.name} ADD COLUMN "{name}" {wanted[name][0]}{default}{required_too}')


def _columns(transaction: Transaction, name: str) -> dict[str, tuple[str, str, bool]]:
    """Type, default and whether it may be null, of each column."""
    rows = transaction.query(
        "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type,"
        " coalesce(pg_get_expr(adbin, adrelid), '') AS initial, attnotnull AS required"
        " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (name,),
    ).to_pylist()
    return {row["name"]: (row["type"], row["initial"], row["required"]) for row in rows}
