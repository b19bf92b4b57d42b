"""Every list that grows, walked page by page: each row once and in order, also while newer ones arrive."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, delete, insert

from contracts.alerts import alerts, anomalies
from contracts.tables import duplicates, epochs, quarantine, rejected_events, reports, requests, totals, verifications
from tests.examples import examples
from tests.serving.integration.conftest import Server, new_schema
from tests.serving.integration.in_process import InProcess, in_process
from tests.serving.shop import create_tables, engine

pytestmark = pytest.mark.integration

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
RANGE = f'range: {{from: "{T - timedelta(days=1):%FT%TZ}", to: "{T + timedelta(days=1):%FT%TZ}"}}'
TOPICS = ("clickstream", "rejected", "transactions")
SUBJECTS = ("", "a", "a/b", "c/é")
MEASURES = ("adds", "checkouts", "events", "purchases", "revenue", "views")
Row = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """A list of the API, and what its rows are made of: a time, of which several may have the same, and a number."""

    field: str
    around: str
    """The document, with `%s` for the connection."""
    node: str
    """What of a row tells which one it is."""
    table: Table
    row: Callable[[int, int], Row]
    order: Callable[[Row], Any]
    told: Callable[[Row], Any]
    arguments: str = ""


def _at(time: int) -> datetime:
    return T + timedelta(minutes=time)


def _place(number: int) -> Row:
    return {"topic": TOPICS[number % 3], "partition": number % 2, "offset": number}


def _placed(row: Row) -> tuple[Any, ...]:
    return row["topic"], row["partition"], row["offset"]


def _alert(time: int, number: int) -> Row:
    texts = {"key": str(number), "kind": "data", "severity": "warning", "title": ""}
    closed = {"resolved_at": T, "acknowledgement_sent": False, "epoch": 1, "members": []}
    return {"id": number, "opened_at": _at(time), "changed_at": T, **texts, **closed}


def _flag(time: int, number: int) -> Row:
    window = {"window_start": _at(time - 1 - number // 2 % 2), "window_end": _at(time)}
    what = {"scope": ("site", "product")[number % 2], "metric": MEASURES[number // 16 % 6], "method": "robust_z"}
    subject = f"{SUBJECTS[number // 4 % 4]}{number // 96 or ''}"
    found = {"expected": 1, "observed": 2, "score": number * 7 % 5, "threshold": 1, "severity": "warning"}
    judged = {"direction": "up", "contributions": [], "standing": True, "epoch": number, "judged_at": T}
    return {**window, **what, "subject": subject, **found, **judged}


def _epoch(time: int, number: int) -> Row:
    counts = ("records", "applied", "duplicates", "conflicts", "quarantined", "rejected", "late", "imported")
    times = {"started_at": T, "committed_at": T, "newest_log_time": T}
    return {"epoch": number + 1, **times, "offsets": {}, "event_time_by_partition": {}, **dict.fromkeys(counts, 0)}


def _refused(time: int, number: int) -> Row:
    texts = {"source": "web", "reason": "bad", "pointer": "", "detail": "", "content_type": ""}
    kept = {"epoch": 1, "rejection_id": str(number), "raw": b"{}", "truncated": False}
    return {**_place(number), "received_at": _at(time), **texts, **kept}


def _request(time: int, number: int) -> Row:
    return {"id": number + 1, "key": str(number), "kind": "erase_user", "fingerprint": b"", "asked_by": "me"}


def _report(time: int, number: int) -> Row:
    day = {"day": date.fromordinal(730_000 + number).isoformat(), "time_zone": "UTC"}
    return {**day, "epoch": 1, "is_final": True, "figures": {}, "made_at": T}


LISTINGS = [
    Listing("alertsConnection", "{ %s }", "id", alerts, _alert,
        lambda row: (row["opened_at"], row["id"]), lambda row: str(row["id"]), "status: ALL, "),
    Listing("anomaliesConnection", "{ %s }", "epoch", anomalies, _flag,
        lambda row: [row[n] for n in ("window_end", "window_start", "scope", "metric", "method", "subject")],
        lambda row: row["epoch"], f"{RANGE}, "),
    Listing("epochsConnection", "{ books { %s } }", "epoch", epochs, _epoch,
        lambda row: row["epoch"], lambda row: row["epoch"]),
    Listing("requestsConnection", "{ %s }", "key", requests, _request, lambda row: row["id"], lambda row: row["key"]),
    Listing("verificationsConnection", "{ %s }", "epoch", verifications,
        lambda _, number: {"id": number, "epoch": number, "rows": 1, "mismatches": 0, "examples": [], "seconds": 1},
        lambda row: row["id"], lambda row: row["epoch"]),
    Listing("reportDaysConnection", "{ %s }", "day", reports, _report, lambda row: row["day"], lambda row: row["day"]),
    Listing("samplesConnection", f"{{ rejections({RANGE}) {{ %s }} }}", "id", rejected_events, _refused,
        lambda row: (row["received_at"], *_placed(row)), lambda row: row["rejection_id"], 'reason: "bad", '),
    Listing("quarantineSamplesConnection", f"{{ rejections({RANGE}) {{ %s }} }}", "offset", quarantine,
        lambda time, number: {**_place(number), "epoch": 1, "log_time": _at(time), "reason": "bad", "raw": b""},
        lambda row: (row["log_time"], *_placed(row)), lambda row: row["offset"]),
    Listing("samplesConnection", f"{{ duplicates({RANGE}) {{ %s }} }}", "offset", duplicates,
        lambda time, number: {**_place(number), "epoch": 50 + time, "event_id": "", "conflict": False,
            "first_epoch": 1},
        lambda row: (row["epoch"], *_placed(row)), lambda row: row["offset"]),
]  # fmt: skip


class Store:
    """A schema whose lists are filled anew for each example, and what answers documents about it."""

    def __init__(self, url: str, home: Any) -> None:
        self._runner = asyncio.Runner()
        schema = new_schema()
        self._runner.run(create_tables(url, schema))
        self._engine = engine(url, schema)
        self._stack = AsyncExitStack()
        self._answering: InProcess = self._runner.run(
            self._stack.enter_async_context(in_process(Server(0, url, schema, httpx.Client(), home)))
        )

    def fill(self, table: Table, rows: list[Row]) -> None:
        """Have these rows, and an epoch for each minute unless the list is of epochs."""
        self._runner.run(self._fill(table, rows))

    async def _fill(self, table: Table, rows: list[Row]) -> None:
        async with self._engine.begin() as connection:
            for each in (table, epochs, totals):
                await connection.execute(delete(each))
            await connection.execute(insert(totals), [{"epoch": 0}])
            if table is not epochs:
                await connection.execute(insert(epochs), [_epoch(0, number) for number in range(99)])
            if rows:
                await connection.execute(insert(table), rows)

    def add(self, table: Table, row: Row) -> None:
        """One more row."""
        self._runner.run(self._add(table, row))

    async def _add(self, table: Table, row: Row) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(table), [row])

    def page(self, listing: Listing, arguments: str) -> Any:
        """A page of the list."""
        page = f"""{listing.field}({listing.arguments}{arguments}) {{ edges {{ cursor node {{ {listing.node} }} }}
            nodes {{ {listing.node} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}"""
        connection = self.asked(listing.around % page, listing.field)
        assert connection["nodes"] == [edge["node"] for edge in connection["edges"]]
        cursors = [edge["cursor"] for edge in connection["edges"]] or [None]
        info = connection["pageInfo"]
        assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1])
        return connection

    def asked(self, document: str, field: str) -> Any:
        """What a field has in the answer."""
        found = self._runner.run(self._answering.data(document))
        while field not in found:
            (found,) = found.values()
        return found[field]

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.run(self._engine.dispose())
        self._runner.close()


@pytest.fixture(scope="module")
def store(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(postgres_url, tmp_path_factory.mktemp("connections"))
    yield made
    made.close()


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=9, unique_by=lambda row: row[1]
)  # a few times, so that many rows are of the same
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda one: f"{one.table.name}")
@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=ROWS, sizes=SIZES, arrive=st.booleans())
def test_pages_of_any_size_give_every_row_once_in_order(
    store: Store, listing: Listing, made: list[tuple[int, int]], sizes: list[int], arrive: bool
) -> None:
    rows = [listing.row(time, number) for time, number in made]
    store.fill(listing.table, rows)
    newest_first = [listing.told(row) for row in sorted(rows, key=listing.order, reverse=True)]
    forward: list[Any] = []
    newer: list[Any] = []
    arguments = ""
    for turn in range(len(rows) + 1):
        page = store.page(listing, f"first: {sizes[turn % len(sizes)]}{arguments}")
        assert page["pageInfo"]["hasPreviousPage"] == bool(arguments)
        forward += [node[listing.node] for node in page["nodes"]]
        if arrive:
            row = listing.row(3 + turn, 41 + turn)
            store.add(listing.table, row)
            newer.append(listing.told(row))
        if not page["pageInfo"]["hasNextPage"]:
            break
        arguments = f', after: "{page["pageInfo"]["endCursor"]}"'
    assert forward == newest_first

    backward: list[Any] = []
    arguments = ""
    for _ in range(len(rows) + len(newer) + 1):
        page = store.page(listing, f"last: {sizes[0]}{arguments}")
        assert page["pageInfo"]["hasNextPage"] == bool(arguments)
        backward = [node[listing.node] for node in page["nodes"]] + backward
        if not page["pageInfo"]["hasPreviousPage"]:
            break
        arguments = f', before: "{page["pageInfo"]["startCursor"]}"'
    assert backward == newer[::-1] + newest_first


def test_the_plain_lists_are_the_beginning(store: Store) -> None:
    for listing in LISTINGS:
        if listing.table is anomalies:  # of these, the surest of a window are first
            continue
        store.fill(listing.table, [listing.row(number % 3, number) for number in range(9)])
        pages = store.page(listing, "first: 5")["nodes"]
        plain = listing.field.removesuffix("Connection")
        field = f"{plain}({listing.arguments}first: 5) {{ {listing.node} }}"
        assert store.asked(listing.around % field, plain) == pages
