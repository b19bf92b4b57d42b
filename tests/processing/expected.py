"""What the tables must hold, according to the oracle; and what they do hold, in the same spelling."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pyarrow as pa

from contracts import tables
from loadtest.facts import Fact, Measures, to_fact
from loadtest.oracle import MINUTE, Oracle, Session
from processing import sketches
from processing.store import Transaction
from tests.processing.builders import Event

Rows: TypeAlias = dict[tuple[Any, ...], dict[str, Any]]
"""Row by primary key."""

PROJECTED: Final = (tables.product_minutes, tables.category_minutes, tables.site_minutes, tables.sessions)
MINUTE_TABLES: Final = PROJECTED[:3]

_SESSION_COUNTS: Final = (
    *("events", "views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "revenue"),
)
_BOOKKEEPING: Final = ("revision", "last_epoch")
"""How often and when a row was touched: the only columns that depend on the order of the epochs."""


def expected(events: Iterable[Event], late: frozenset[str] = frozenset()) -> dict[str, Rows]:
    """The rows of every projection, computed by the oracle from deduplicated events; `late`: ids labelled late."""
    facts = sorted(map(to_fact, events), key=lambda fact: fact.action)  # decides ties of one id in both topics
    oracle, late_oracle = Oracle(facts), Oracle(fact for fact in facts if fact.event_id in late)
    minutes: dict[str, Callable[[Fact], tuple[str, ...] | None]] = {
        "product_minutes": lambda fact: None if fact.product_id is None else (fact.product_id, fact.category or ""),
        "category_minutes": lambda fact: (fact.category or "",),
        "site_minutes": lambda _: (),
    }
    found = {
        name: {
            key: _minute(measures, late_oracle.windows(by, MINUTE).get(key, Measures()).events)
            for key, measures in oracle.windows(by, MINUTE).items()
        }
        for name, by in minutes.items()
    }
    late_of = Counter[tuple[Any, ...]]()
    for fact in late_oracle.facts:
        (island,) = (
            key
            for key, session in oracle.sessions.items()
            if key[0] == fact.session_id and session.started_at <= fact.at <= session.ended_at
        )
        late_of[island] += 1
    found["sessions"] = {key: _session(session, late_of[key]) for key, session in oracle.sessions.items()}
    return found


def spelled(name: str, rows: pa.Table) -> Rows:
    """A delta or a table in the spelling of `expected`."""
    keys = [column.name for column in tables.metadata.tables[name].primary_key]
    return {
        tuple(row[key] for key in keys): _spelled_session(row) if name == "sessions" else _spelled_minute(row, keys)
        for row in rows.to_pylist()
    }


def held(transaction: Transaction) -> dict[str, Rows]:
    """What every projection's table holds, in the spelling of `expected`."""
    return {table.name: spelled(table.name, transaction.query(f"SELECT * FROM {table.name}")) for table in PROJECTED}


def columns_held(transaction: Transaction) -> dict[str, list[dict[str, Any]]]:
    """Every column of every projection's table as it is, sorted by key, without the bookkeeping columns."""
    found = {}
    for table in PROJECTED:
        keys = ", ".join(column.name for column in table.primary_key)
        columns = ", ".join(column.name for column in table.columns if column.name not in _BOOKKEEPING)
        found[table.name] = transaction.query(f"SELECT {columns} FROM {table.name} ORDER BY {keys}").to_pylist()
    return found


def _minute(measures: Measures, late: int) -> dict[str, Any]:
    sets = {"users": sketches.of(measures.users), "buyers": sketches.of(measures.buyers)}
    return vars(measures) | sets | {"late": late}


def _session(session: Session, late: int) -> dict[str, Any]:
    return {
        "ended_at": session.ended_at,
        **{name: getattr(session.measures, name) for name in _SESSION_COUNTS},
        "user_id": session.user_id,
        "entry_page": session.entry_page,
        "exit_page": session.exit_page,
        "path": session.path,
        "late": late,
    }


def _spelled_minute(row: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    measures = {name: value for name, value in row.items() if name not in (*keys, *_BOOKKEEPING)}
    return measures | {name: Decimal(measures[name]) for name in ("revenue", "refunded")}


def _spelled_session(row: Mapping[str, Any]) -> dict[str, Any]:
    entry, leave = (json.loads(row[name])[4] if row[name] else None for name in ("entry_event", "exit_event"))
    if "entry_page" in row:  # a table's row has them as columns too
        assert (row["entry_page"], row["exit_page"]) == (entry, leave)
        assert row["user_id"] == json.loads(row["first_event"])[3]
    steps = (json.loads(step) for step in row["path"])
    return {
        "ended_at": row["ended_at"],
        **{name: row[name] for name in _SESSION_COUNTS},
        "revenue": Decimal(row["revenue"]),  # Postgres's numeric arrives as text
        "user_id": json.loads(row["first_event"])[3],
        "entry_page": entry,
        "exit_page": leave,
        "path": tuple((int(ms), *rest) for ms, *rest in steps),
        "late": row["late"],
    }
