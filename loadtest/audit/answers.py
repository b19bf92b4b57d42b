"""What GraphQL answers about the time of a run, held against the oracle over what its clients sent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from loadtest.audit.checks import Check
from loadtest.facts import Measures
from loadtest.graphql import GraphqlClient
from loadtest.oracle import MINUTE, Oracle, Session

_COUNTS: Final = ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds")
_HOUR: Final = timedelta(hours=1)
_EXACT_USERS: Final = 4096
"""Up to so many, unique users are counted exactly."""
_SKETCH_ERROR: Final = 4 * 0.016
"""Four standard errors of the count above that."""
_MINUTES_AT_ONCE: Final = 5
_SESSIONS: Final = 200
"""Sessions drawn by the seed; all where there are fewer."""
_SESSIONS_AT_ONCE: Final = 10
_EXAMPLES: Final = 5

Rows = dict[Any, Any]


async def check_answers(graphql: GraphqlClient, oracle: Oracle, minutes: Sequence[datetime], seed: int) -> list[Check]:
    """Ask and compare. `oracle` knows all events of the hours that `minutes` lie in; only those minutes are asked for.

    Raises GraphqlError.
    """
    start = min(minutes).replace(minute=0)
    end = max(minutes).replace(minute=0) + _HOUR
    return [
        _compared("products by the minute", await _products(graphql, minutes), _expected_products(oracle, minutes)),
        _compared("revenue by category", await _revenue(graphql, start, end), _expected_revenue(oracle)),
        _compared("sales by the hour", await _sales(graphql, start, end), _expected_sales(oracle)),
        *[await _top_products(graphql, oracle, by, start, end) for by in ("views", "purchases", "revenue")],
        await _sessions(graphql, oracle, start, seed),
    ]


async def _products(graphql: GraphqlClient, minutes: Sequence[datetime]) -> Rows:
    query = (
        'query($range: TimeRange!) { productMetrics(range: $range, window: "PT1M", bots: INCLUDE)'
        f" {{ windowStart productId category {' '.join(_COUNTS)} revenue refunded uniqueUsers uniqueBuyers }} }}"
    )
    wanted, found = sorted(set(minutes)), {}
    while wanted:
        start = wanted[0]
        end = start + _MINUTES_AT_ONCE * MINUTE
        rows = (await graphql.ask(query, _range(start, end)))["productMetrics"]
        asked = {minute for minute in wanted if minute < end}
        for row in rows:
            if (minute := _at(row["windowStart"])) in asked:
                found[minute, row["productId"], row["category"]] = _measures(row)
        wanted = [minute for minute in wanted if minute >= end]
    return found


def _expected_products(oracle: Oracle, minutes: Sequence[datetime]) -> Rows:
    asked = set(minutes)
    return {key: _told(measures) for key, measures in oracle.product_minutes.items() if key[0] in asked}


async def _revenue(graphql: GraphqlClient, start: datetime, end: datetime) -> Rows:
    query = "query($range: TimeRange!) { revenue(range: $range, bots: INCLUDE) { windowStart category count total } }"
    rows = (await graphql.ask(query, _range(start, end)))["revenue"]
    return {
        (_at(row["windowStart"]), row["category"]): (row["count"], Decimal(row["total"]))
        for row in rows
        if row["count"]
    }


def _expected_revenue(oracle: Oracle) -> Rows:
    return {key: (window.count, window.total) for key, window in oracle.revenue().items()}


async def _sales(graphql: GraphqlClient, start: datetime, end: datetime) -> Rows:
    query = (
        'query($range: TimeRange!) { sales(range: $range, grain: HOUR, timeZone: "UTC", bots: INCLUDE)'
        " { windowStart revenue purchases units refunded uniqueCustomers } }"
    )
    rows = (await graphql.ask(query, _range(start, end)))["sales"]
    return {
        _at(row["windowStart"]): {
            **{name: row[name] for name in ("purchases", "units")},
            **{name: Decimal(row[name]) for name in ("revenue", "refunded")},
            "buyers": row["uniqueCustomers"],
        }
        for row in rows
        if row["purchases"] or Decimal(row["refunded"])
    }


def _expected_sales(oracle: Oracle) -> Rows:
    return {
        hour: {
            **{name: getattr(measures, name) for name in ("purchases", "units", "revenue", "refunded")},
            "buyers": len(measures.buyers),
        }
        for hour, measures in oracle.sales("hour").items()
        if measures.purchases or measures.refunded
    }


async def _top_products(graphql: GraphqlClient, oracle: Oracle, by: str, start: datetime, end: datetime) -> Check:
    query = (
        f"query($range: TimeRange!) {{ topProducts(range: $range, by: {by.upper()}, first: 10, bots: INCLUDE)"
        f" {{ rank productId {by} }} }}"
    )
    rows = (await graphql.ask(query, _range(start, end)))["topProducts"]
    served = {row["rank"]: (row["productId"], Decimal(row[by])) for row in rows}
    ranked = oracle.top_products(by, start, end, 10)
    expected = {rank: (product, Decimal(value)) for rank, (product, value) in enumerate(ranked, 1)}
    return _compared(f"top products by {by}", served, expected)


async def _sessions(graphql: GraphqlClient, oracle: Oracle, start: datetime, seed: int) -> Check:
    """Of the ids that the oracle knows all sessions since `start`: it does not know of events before."""
    islands: dict[str, list[Session]] = {}
    for session in oracle.sessions.values():
        islands.setdefault(session.session_id, []).append(session)
    drawn = Random(seed).sample(sorted(islands), min(_SESSIONS, len(islands)))
    served: Rows = {}
    fields = "startedAt endedAt userId events bounced revenue " + " ".join(_COUNTS[:-1])
    for first in range(0, len(drawn), _SESSIONS_AT_ONCE):
        part = drawn[first : first + _SESSIONS_AT_ONCE]
        declared = ", ".join(f"$s{n}: String!" for n in range(len(part)))
        asked = " ".join(
            f"s{n}: sessions(sessionId: $s{n}, first: 50, bots: INCLUDE) {{ nodes {{ {fields} }} }}"
            for n in range(len(part))
        )
        data = await graphql.ask(f"query({declared}) {{ {asked} }}", {f"s{n}": name for n, name in enumerate(part)})
        for n, name in enumerate(part):
            for row in data[f"s{n}"]["nodes"]:
                served[name, _at(row["startedAt"])] = {
                    **row,
                    "startedAt": _at(row["startedAt"]),
                    "endedAt": _at(row["endedAt"]),
                    "revenue": Decimal(row["revenue"]),
                }
    expected = {
        (name, session.started_at): {
            "startedAt": session.started_at,
            "endedAt": session.ended_at,
            "userId": session.user_id,
            "events": session.measures.events,
            "bounced": session.bounced,
            "revenue": session.measures.revenue,
            **{count: getattr(session.measures, count) for count in _COUNTS[:-1]},
        }
        for name in drawn
        for session in islands[name]
    }
    earlier = {name: served[name, at]["endedAt"] for name, at in sorted(served) if at < start}
    served = {key: row for key, row in served.items() if key[1] >= start}
    # What begins within the last of those is the rest of it.
    expected = {key: row for key, row in expected.items() if key[0] not in earlier or key[1] > earlier[key[0]]}
    return _compared("sessions", served, expected)


def _compared(name: str, served: Rows, expected: Rows) -> Check:
    """Every row is there, none besides, and each number is the one expected."""
    off = [
        {
            "key": [str(part) for part in key] if isinstance(key, tuple) else str(key),
            "served": str(served.get(key)),
            "expected": str(expected.get(key)),
        }
        for key in sorted(served.keys() | expected.keys(), key=str)
        if not _same(served.get(key), expected.get(key))
    ]
    meaning = "what GraphQL answers equals what the clients' own log adds up to"
    return Check(f"answers: {name}", meaning, len(off), f"{len(expected):,} rows", off[:_EXAMPLES])


def _same(served: Any, expected: Any) -> bool:
    if isinstance(served, Mapping) and isinstance(expected, Mapping):
        return served.keys() == expected.keys() and all(
            _near(served[name], expected[name]) if name in {"users", "buyers"} else served[name] == expected[name]
            for name in expected
        )
    return bool(served == expected)


def _near(served: int | None, expected: int) -> bool:
    if expected <= _EXACT_USERS:
        return served == expected
    return served is not None and abs(served - expected) <= _SKETCH_ERROR * expected


def _measures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _COUNTS},
        "revenue": Decimal(row["revenue"]),
        "refunded": Decimal(row["refunded"]),
        "users": row["uniqueUsers"],
        "buyers": row["uniqueBuyers"],
    }


def _told(measures: Measures) -> dict[str, Any]:
    return {
        **{name: getattr(measures, name) for name in (*_COUNTS, "revenue", "refunded")},
        "users": len(measures.users),
        "buyers": len(measures.buyers),
    }


def _range(start: datetime, end: datetime) -> dict[str, Any]:
    return {"range": {"from": start.isoformat(), "to": end.isoformat()}}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
