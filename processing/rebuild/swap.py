"""The shadow tables put in the place of the live ones, in one transaction and so that every reader sees one epoch.

A reader's snapshot may be older than the rows of a table that has just come into its place, and it would not see them.
So the last rows are committed before the tables change places, while the gate is shut and no epoch can follow them;
and the change waits for every snapshot that is older than they are.
"""

import time
from collections.abc import Sequence
from typing import Final

from adbc_driver_manager import Error

from processing import definitions
from processing.projection import Projection
from processing.rebuild.plan import Plan
from processing.store import Transaction

_POLL_SECONDS: Final = 0.05
_LOCK_TRY_MS: Final = 250
"""Shorter than Postgres's deadlock_timeout: who waits for us gets on before anybody is cancelled."""
_LOCK_NOT_AVAILABLE: Final = "55P03"


class BusyError(Exception):
    """Somebody's transaction was in the way for too long; nothing was changed."""


def is_lock_timeout(error: Error) -> bool:
    """Whether the statement failed because a lock was not to be had in time."""
    return bool(error.sqlstate == _LOCK_NOT_AVAILABLE)


def await_older_snapshots(transaction: Transaction, patience_seconds: float) -> None:
    """Wait until the transactions that have a snapshot now are over, this one's own apart. Raises BusyError."""
    deadline = time.monotonic() + patience_seconds
    snapshots = (
        "SELECT pid, xact_start, application_name FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND backend_xmin IS NOT NULL"
        " AND pid <> pg_backend_pid()"
    )
    older = {(row["pid"], row["xact_start"]) for row in transaction.query(snapshots).to_pylist()}
    while older:
        transaction.execute("SELECT pg_stat_clear_snapshot()")
        still = {(row["pid"], row["xact_start"]): row for row in transaction.query(snapshots).to_pylist()}
        older &= still.keys()
        if older and time.monotonic() > deadline:
            (pid, since), who = next(iter(older)), still[next(iter(older))]["application_name"]
            raise BusyError(f"{who or 'a client'} (pid {pid}) has been reading in one transaction since {since}")
        time.sleep(_POLL_SECONDS)


def change_places(transaction: Transaction, live: str, shadow: str, plan: Plan, patience_seconds: float) -> None:
    """Drop the live tables and move the shadow tables, with what others were granted. Raises BusyError."""
    fingerprints = definitions.fingerprints(plan.projections)
    there = _lock(transaction, live, plan.projections, patience_seconds)
    for projection in plan.projections:
        name = projection.name
        grants = _grants(transaction, live, name) if name in there else []
        transaction.execute(f'DROP TABLE IF EXISTS "{live}".{name}')
        transaction.execute(f'ALTER TABLE "{shadow}".{name} SET SCHEMA "{live}"')
        for grant in grants:
            transaction.execute(grant)
    definitions.record(transaction, {projection.name: fingerprints[projection.name] for projection in plan.projections})


def replace_rows(transaction: Transaction, live: str, shadow: str, plan: Plan) -> None:
    """Replace the rows of the plan's span. Readers see all of it or nothing, whatever their snapshot."""
    for projection in plan.projections:
        name, rows = projection.name, plan.rows(projection)
        columns = ", ".join(f'"{column.name}"' for column in projection.table.columns)
        transaction.execute(f'DELETE FROM "{live}".{name} WHERE {rows}')
        transaction.execute(
            f'INSERT INTO "{live}".{name} ({columns}) SELECT {columns} FROM "{shadow}".{name} WHERE {rows}'
        )


def _lock(
    transaction: Transaction, live: str, projections: Sequence[Projection], patience_seconds: float
) -> frozenset[str]:
    """Lock all live tables that there are; returns their names.

    Tried again and again for a moment, and never held while another is waited for: a reader may have one of the tables
    and want the next.
    """
    rows = transaction.query("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = $1", (live,))
    names = {projection.name for projection in projections} & set(rows["name"].to_pylist())
    if not names:
        return frozenset()
    deadline = time.monotonic() + patience_seconds
    tables = ", ".join(f'"{live}".{name}' for name in sorted(names))
    transaction.execute("SELECT set_config('lock_timeout', $1, true)", (f"{_LOCK_TRY_MS}ms",))
    while True:
        transaction.execute("SAVEPOINT before_locks")
        try:
            transaction.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        except Error as error:
            if not is_lock_timeout(error):
                raise
            transaction.execute("ROLLBACK TO SAVEPOINT before_locks")
            if time.monotonic() > deadline:
                raise BusyError("readers of the live tables left no moment free") from error
            time.sleep(_POLL_SECONDS)
        else:
            return frozenset(names)


def _grants(transaction: Transaction, live: str, name: str) -> list[str]:
    """Statements that give the table of that name the privileges that it has now."""
    rows = transaction.query(
        "SELECT format('GRANT %s ON %I.%I TO %s%s', privilege_type, $1::text, $2::text,"
        " CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,"
        " CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS sql"
        " FROM pg_class, aclexplode(relacl) WHERE oid = format('%I.%I', $1::text, $2::text)::regclass"
        " AND grantee <> relowner",
        (live, name),
    )
    return [str(row["sql"]) for row in rows.to_pylist()]
