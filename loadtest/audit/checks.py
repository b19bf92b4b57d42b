"""The laws of a run, each a question to the tables of claims and holdings that must find nothing.

Tables: `sent` (columns of `claims.SENT`) and `refused` (event_id) from the clients; `records`, `applied`, `duplicates`,
`quarantine` and `rejected` from the system, of the time of the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa

from loadtest.audit.claims import Claims

_EXAMPLES: Final = 5


@dataclass(frozen=True)
class Check:
    """One law and whether it holds."""

    name: str
    meaning: str
    broken: int
    """How often it does not hold."""
    found: str
    """What was compared, in figures."""
    examples: list[Any] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """It does, without exception."""
        return self.broken == 0

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        return {**vars(self), "holds": self.holds}


@dataclass(frozen=True)
class _Law:
    name: str
    meaning: str
    exceptions: str
    """SQL that finds what breaks it, a row each."""
    subject: str
    """SQL of one number: how many things it was held against."""


_LAWS: Final = (
    _Law(
        "acknowledged is stored",
        "every event with a 2xx has a record at the broker for each of them",
        "SELECT s.topic, s.event_id, accepted, coalesce(r.n, 0) AS records FROM sent s"
        " LEFT JOIN per_event r USING (topic, event_id) WHERE coalesce(r.n, 0) < accepted",
        "SELECT count(*) FROM sent WHERE accepted > 0",
    ),
    _Law(
        "nothing is stored more often than it was sent",
        "an attempt leaves at most one record, one without an answer too",
        "SELECT s.topic, s.event_id, accepted, unknown, r.n AS records FROM sent s"
        " JOIN per_event r USING (topic, event_id) WHERE r.n > accepted + unknown",
        "SELECT count(*) FROM sent",
    ),
    _Law(
        "no record comes from nowhere",
        "every record of the time of the run is of an event that its clients sent",
        "SELECT r.topic, r.partition, r.offset, r.event_id FROM records r"
        " LEFT JOIN sent s USING (topic, event_id) WHERE r.topic <> 'rejected' AND s.event_id IS NULL"
        ' AND (r.topic, r.partition, r.offset) NOT IN (SELECT (topic, partition, "offset") FROM quarantine)',
        "SELECT count(*) FROM records WHERE topic <> 'rejected'",
    ),
    _Law(
        "every record ends in one place",
        "each is applied, a duplicate, in quarantine or a refusal, and only one of these",
        "SELECT r.topic, r.partition, r.offset, r.event_id, count(p.place) AS places FROM records r"
        ' LEFT JOIN places p USING (topic, partition, "offset") GROUP BY ALL HAVING count(p.place) <> 1',
        "SELECT count(*) FROM records",
    ),
    _Law(
        "nothing has a place that has no record",
        "what the tables and the log hold of the run, the broker holds too",
        'SELECT p.* FROM places p ANTI JOIN records r USING (topic, partition, "offset")',
        "SELECT count(*) FROM places",
    ),
    _Law(
        "nothing is lost",
        "every event with a 2xx is applied, or all its records are copies of one applied before, or in quarantine",
        "SELECT s.topic, s.event_id FROM sent s WHERE accepted > 0"
        " AND NOT EXISTS (FROM applied a WHERE (a.topic, a.event_id) = (s.topic, s.event_id))"
        " AND NOT EXISTS (FROM duplicates d WHERE (d.topic, d.event_id) = (s.topic, s.event_id))"
        ' AND NOT EXISTS (FROM records r JOIN quarantine q USING (topic, partition, "offset")'
        "  WHERE (r.topic, r.event_id) = (s.topic, s.event_id))",
        "SELECT count(*) FROM sent WHERE accepted > 0",
    ),
    _Law(
        "nothing counts twice",
        "no event is applied more than once",
        "SELECT topic, event_id, count(*) AS times FROM applied GROUP BY ALL HAVING count(*) > 1",
        "SELECT count(*) FROM applied",
    ),
    _Law(
        "nothing refused counts",
        "no event that was refused for good is applied",
        "SELECT a.topic, a.event_id FROM applied a SEMI JOIN refused r USING (event_id)",
        "SELECT count(*) FROM refused",
    ),
)


def check_laws(claims: Claims, holdings: Mapping[str, pa.Table]) -> list[Check]:
    """Hold each law against the tables. `holdings` are those of the module's docstring, by name."""
    connection = duckdb.connect()
    for name, table in {"sent": claims.table(), "refused": claims.definitely_refused(), **holdings}.items():
        connection.register(f"{name}_arrow", table)
        connection.execute(f'CREATE TABLE "{name}" AS FROM "{name}_arrow"')
    connection.execute("CREATE VIEW per_event AS SELECT topic, event_id, count(*) AS n FROM records GROUP BY ALL")
    union = " UNION ALL ".join(
        f"SELECT topic, partition, \"offset\", '{name}' AS place FROM {name}"  # noqa: S608 - names of this module
        for name in ("applied", "duplicates", "quarantine", "rejected")
    )
    connection.execute(f"CREATE VIEW places AS {union}")
    found = [_check(connection, law) for law in _LAWS]
    connection.close()
    return [*found, _refusals(claims, holdings["rejected"].num_rows)]


def _check(connection: duckdb.DuckDBPyConnection, law: _Law) -> Check:
    exceptions: pa.Table = connection.sql(law.exceptions).to_arrow_table()
    ((subject,),) = connection.sql(law.subject).fetchall()
    examples = exceptions.slice(0, _EXAMPLES).to_pylist()
    return Check(law.name, law.meaning, exceptions.num_rows, f"{subject:,}", examples)


def _refusals(claims: Claims, kept: int) -> Check:
    """Every refusal is kept once; an attempt without an answer may have left one."""
    least, most = claims.refused, claims.refused + claims.refused_unknown
    off = max(least - kept, kept - most, 0)
    meaning = "the topic `rejected` has a record for every refusal that a client was told"
    return Check("every refusal is kept", meaning, off, f"{kept:,} kept, {least:,} to {most:,} told")


def check_books(before: Mapping[str, int], after: Mapping[str, int], holdings: Mapping[str, pa.Table]) -> Check:
    """The books moved by what the tables and the log hold."""
    moved = {name: after.get(name, 0) - before.get(name, 0) for name in after}
    held = {
        "records": holdings["records"].num_rows,
        "applied": holdings["applied"].num_rows,
        "duplicates": holdings["duplicates"].num_rows,
        "quarantined": holdings["quarantine"].num_rows,
        "rejected": holdings["rejected"].num_rows,
    }
    off = [
        f"{name}: books {moved.get(name, 0):,}, held {count:,}"
        for name, count in held.items()
        if moved.get(name, 0) != count
    ]
    told = ", ".join(f"{name} {count:,}" for name, count in held.items())
    return Check("the books agree", "the ledger moved by exactly what is there", len(off), told, off)
