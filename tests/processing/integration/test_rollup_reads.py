"""The reader's rule: whatever has been made and whatever is stale, what is read for a window sums up to its minutes."""

import asyncio
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Select, Table, or_, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.sql import CompoundSelect

from contracts.projections import category_minutes, product_minutes, site_minutes
from contracts.rollup_reads import days_fit, fixed, gaps, hours_of, readable, readable_windows, whole_cells
from contracts.rollups import category_windows
from contracts.settings import PostgresSettings
from processing import sketches
from processing.projections.measures import SKETCHES
from processing.store import Store
from tests.examples import examples
from tests.processing.builders import START_MS, at
from tests.processing.expected import Rows, expected
from tests.processing.log_rows import Row, epochs
from tests.processing.rolled_shop import HOUR_MS, Shop, a_shop, clicks_at, emptied

pytestmark = pytest.mark.integration

LAWS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCHEMA: Final = "rollup_reads"
ALL_MADE: Final = "rollup_reads_days"
MIDNIGHT_MS: Final = START_MS - 12 * HOUR_MS
DAYS, HOURS, MINUTES = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WINDOW: Final = timedelta(minutes=5)
MONEY: Final = [
    column.name for column in category_windows.columns if not column.primary_key and column.name != "last_epoch"
]
KOLKATA: Final = ZoneInfo("Asia/Kolkata")
SUMS: Final = ("events", "views", "purchases", "units", "revenue", "refunded", "late")


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Iterator[Store]:
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=SCHEMA))
    store.create_tables()
    yield store
    store.close()


def read(url: str, statement: Select[Any] | CompoundSelect[Any], schema: str = SCHEMA) -> list[dict[str, Any]]:
    """Run it as serving does: through SQLAlchemy and asyncpg."""

    async def run() -> list[dict[str, Any]]:
        engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://"),
            connect_args={"server_settings": {"search_path": schema, "plan_cache_mode": "force_custom_plan"}},
        )
        try:
            async with engine.connect() as connection:
                return [dict(row) for row in (await connection.execute(statement)).mappings()]
        finally:
            await engine.dispose()

    return asyncio.run(run())


def summed(rows: Sequence[dict[str, Any]], edges: Sequence[datetime], keys: Sequence[str]) -> Rows:
    """Sums and united sketches per window and key. A row that does not lie in a window by its start is an error."""
    found: Rows = defaultdict(lambda: defaultdict(int))
    united: dict[Any, list[bytes]] = defaultdict(list)
    for row in rows:
        assert edges[0] <= row["starts_at"] < edges[-1]
        key = (bisect_right(edges, row["starts_at"]), *(row[name] for name in keys))
        for name in SUMS:
            found[key][name] += Decimal(row[name]) if name in ("revenue", "refunded") else row[name]
        for name in SKETCHES:
            united[key, name].append(row[name])
    for (key, name), parts in united.items():
        found[key][name] = sketches.unite(*parts)
    return {key: dict(row) for key, row in found.items()}


def minutes_of(log: Sequence[Row], table: Table, edges: Sequence[datetime]) -> list[dict[str, Any]]:
    keys = [column.name for column in table.primary_key]
    rows = [dict(zip(keys, key, strict=True)) | row for key, row in expected(log)[table.name].items()]
    return [row | {"starts_at": row["minute"]} for row in rows if edges[0] <= row["minute"] < edges[-1]]


EDGES = st.one_of(
    st.lists(st.integers(0, 14 * 24 * 60), min_size=2, max_size=6, unique=True).map(
        lambda minutes: [at(MIDNIGHT_MS + minute * 60_000) for minute in sorted(minutes)]
    ),
    st.tuples(st.integers(0, 20), st.integers(1, 20), st.sampled_from((30, 60, 1440))).map(
        lambda span: [at(MIDNIGHT_MS + (span[0] + n) * span[2] * 60_000) for n in range(span[1] + 1)]
    ),
)


@settings(LAWS, max_examples=examples(4))
@given(
    parts=epochs(max_size=16, count=3),
    hours=st.integers(0, 15),
    stale=st.booleans(),
    edges=EDGES,
    table=st.sampled_from((site_minutes, product_minutes, category_minutes)),
)
def test_what_is_read_for_a_window_sums_up_to_its_minutes(
    postgres_url: str,
    tables: Store,
    *,
    parts: list[list[Row]],
    hours: int,
    stale: bool,
    edges: list[datetime],
    table: Table,
) -> None:
    shop = a_shop(emptied(tables))
    folded = [part for part in parts if part]
    shop.fold(*folded[:2])
    shop.make(at(START_MS + hours * HOUR_MS))
    if stale:
        shop.fold(*folded[2:])
    keys = [column.name for column in table.primary_key][1:]
    found = summed(read(postgres_url, readable(table, fixed(edges), days=days_fit(edges))), edges, keys)
    assert found == summed(minutes_of(shop.log, table, edges), edges, keys)


def windows_read(url: str, spans: Sequence[tuple[datetime, datetime]]) -> list[dict[str, Any]]:
    """The rows of `readable_windows` that lie in the spans, by window."""
    part = readable_windows().subquery()
    within = [(part.c.starts_at >= start) & (part.c.starts_at < until) for start, until in spans]
    return [
        row | {"starts_at": window_of(row["starts_at"])}
        for row in read(url, select(part).where(or_(*within)).params(hours_of(spans)))
    ]


def window_of(instant: datetime) -> datetime:
    return instant - (instant - at(MIDNIGHT_MS)) % WINDOW


def in_windows(rows: Sequence[dict[str, Any]]) -> Rows:
    """Sums per window, category and whether bots did it."""
    found: Rows = defaultdict(Counter)
    for row in rows:
        for name in MONEY:
            found[row["starts_at"], row["category"], row["bot"]][name] += Decimal(row[name])
    return found


SPANS = st.lists(
    st.tuples(st.integers(-30, 400), st.integers(1, 60)).map(
        lambda span: tuple(at(START_MS + edge * 300_000).astimezone(KOLKATA) for edge in (span[0], sum(span)))
    ),
    min_size=1,
    max_size=2,
)


@settings(LAWS, max_examples=examples(6))
@given(parts=epochs(max_size=16, count=3), minutes=st.integers(0, 900), spans=SPANS)
def test_what_is_read_by_five_minutes_sums_up_to_minutes(
    postgres_url: str,
    tables: Store,
    *,
    parts: list[list[Row]],
    minutes: int,
    spans: list[tuple[datetime, datetime]],
) -> None:
    """Of hours that are made, stale and not yet made; spans may overlap, and begin and end within an hour."""
    shop = a_shop(emptied(tables))
    folded = [part for part in parts if part]
    shop.fold(*folded[:2])
    shop.make(at(START_MS + minutes * 60_000))
    shop.fold(*folded[2:])
    there = minutes_of(shop.log, category_minutes, [at(MIDNIGHT_MS), at(MIDNIGHT_MS + 100 * 24 * HOUR_MS)])
    asked = [row for row in there if any(start <= row["minute"] < until for start, until in spans)]
    wanted = in_windows([row | {"starts_at": window_of(row["minute"])} for row in asked])
    assert in_windows(windows_read(postgres_url, spans)) == wanted


def test_windows_are_read_from_what_was_made_and_from_minutes_where_it_is_stale_or_not_made(
    postgres_url: str, shop: Shop
) -> None:
    span = [(at(MIDNIGHT_MS + 11 * HOUR_MS), at(MIDNIGHT_MS + 40 * HOUR_MS))]
    shop.fold(clicks_at(1.3, 23))  # the hour from 13:00, and one that has none yet
    with shop.store.transaction() as transaction:
        transaction.execute("UPDATE category_windows SET late = 100")
    late = [(row["starts_at"], row["late"]) for row in windows_read(postgres_url, span)]
    of_minutes = [(at(MIDNIGHT_MS + int(hour * HOUR_MS)), 0) for hour in (13.25, 13.25, 13.75, 35)]
    made = [(at(MIDNIGHT_MS + int(hour * HOUR_MS)), 100) for hour in (11.25, 11.75, 14.25, 14.75, 30.25, 30.75)]
    assert sorted(late) == sorted(of_minutes + made)


@pytest.fixture(scope="module")
def days(postgres_url: str) -> Iterator[str]:
    """Three days with two events in each hour, all of it made; gives its schema."""
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=ALL_MADE))
    store.create_tables()
    shop = a_shop(store)
    shop.fold(clicks_at(*[hour - 12 + half for hour in range(3 * 24) for half in (0.25, 0.75)]))
    shop.make()
    yield ALL_MADE
    store.close()


def grains_read(url: str, schema: str, edges: Sequence[datetime]) -> dict[timedelta, int]:
    """How many rows are read of each grain, by how many events there are in one."""
    lengths = {48: DAYS, 2: HOURS, 1: MINUTES}
    return Counter(lengths[row["events"]] for row in read(url, readable(site_minutes, fixed(edges)), schema))


def hours_from_midnight(*hours: float) -> list[datetime]:
    return [at(MIDNIGHT_MS + int(hour * HOUR_MS)) for hour in hours]


@pytest.mark.parametrize(
    ("edges", "read_from"),
    [
        ((0, 72), {DAYS: 3}),
        ((0, 24, 48, 72), {DAYS: 3}),
        ((0, 12, 24, 48), {HOURS: 24, DAYS: 1}),
        ((1, 49), {HOURS: 24, DAYS: 1}),
        ((1.5, 26.5), {HOURS: 24, MINUTES: 2}),
        ((1, 1.5, 2, 3), {MINUTES: 2, HOURS: 1}),
        ((-24, 0), {}),
        ((64, 200), {HOURS: 8}),
    ],
)
def test_rows_are_as_coarse_as_the_windows_allow(
    postgres_url: str, days: str, edges: tuple[float, ...], read_from: dict[timedelta, int]
) -> None:
    assert grains_read(postgres_url, days, hours_from_midnight(*edges)) == read_from


def test_days_of_a_zone_at_half_past_are_read_from_hours_and_the_minutes_of_the_half_hours(
    postgres_url: str, days: str
) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    edges = [datetime(2026, 3, day, tzinfo=zone).astimezone(UTC) for day in range(2, 5)]
    assert grains_read(postgres_url, days, edges) == {HOURS: 46, MINUTES: 4}


@pytest.fixture
def shop(tables: Store) -> Shop:
    """Two events in each of five hours of two days, all of it made."""
    shop = a_shop(emptied(tables))
    shop.fold(clicks_at(*[hour - 12 + half for hour in (0, 11, 13, 14, 30) for half in (0.25, 0.75)]))
    shop.make()
    return shop


def test_what_is_stale_is_read_from_what_is_finer(postgres_url: str, shop: Shop) -> None:
    edges = hours_from_midnight(0, 48)
    assert sorted(row["events"] for row in read(postgres_url, readable(site_minutes, fixed(edges)))) == [2, 8]
    shop.fold(clicks_at(-11.9))
    assert (
        sorted(row["events"] for row in read(postgres_url, readable(site_minutes, fixed(edges)))) == [1] * 3 + [2] * 4
    )


def test_the_cells_and_gaps_of_another_grain_cover_the_windows_once(postgres_url: str, shop: Shop) -> None:
    edges = hours_from_midnight(10.5, 15)
    cells = whole_cells("session_hour", fixed(edges))
    assert sorted(row["starts_at"] for row in read(postgres_url, cells)) == hours_from_midnight(11, 13, 14)
    left = read(postgres_url, gaps([cells.cte("cells")], fixed(edges)))
    assert sorted((row["starts_at"], row["ends_at"]) for row in left) == [
        tuple(hours_from_midnight(10.5, 11)),
        tuple(hours_from_midnight(12, 13)),
    ]


@pytest.mark.parametrize(
    "edges", [(), (0,), (1, 1), (2, 1), (0, 1 / 120)], ids=["none", "one", "an empty window", "descending", "seconds"]
)
def test_edges_that_are_no_windows_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="edges"):
        readable(site_minutes, fixed(hours_from_midnight(*edges)))
