"""The books when they do not close: each fault shows in its own check."""

import asyncio

import pytest
from sqlalchemy import text

from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

CHECKS = "{ books { close residue checks { name residue } } }"
FIRST = "(SELECT min(minute) FROM site_minutes)"
LESS_BY_ONE = f"UPDATE site_minutes SET events = events - 1 WHERE minute = {FIRST}"


def test_before_the_first_epoch_there_is_nothing_and_no_error(empty_server: Server) -> None:
    empty = empty_server.data(
        """{ asOf { epoch } realtime { activeUsers } books { close } sessions { nodes { id } }
             topProducts(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}, by: VIEWS) { rank } }"""
    )
    assert empty == {"asOf": None, "realtime": None, "books": None, "sessions": {"nodes": []}, "topProducts": []}


@pytest.fixture(scope="module")
def shop() -> Shop:
    """An hour of a shop, committed afresh by each test."""
    return Shop(events=visits(3, NOW.replace(hour=11), NOW), committed_at=NOW)


def commit(server: Server, shop: Shop, spoil: str) -> None:
    """Commit the shop, then change the store behind processing's back."""

    async def run() -> None:
        await write(server.database_url, server.schema, shop)
        writer = engine(server.database_url, server.schema)
        async with writer.begin() as connection:
            await connection.execute(text(spoil))
        await writer.dispose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "check", "residue"),
    [
        ("UPDATE totals SET duplicates = duplicates + 2", "fates", -2),
        ("UPDATE books SET next_offset = next_offset + 3", "offsets", 3),
        ("UPDATE books SET gaps = 4", "gaps", 4),
        (f"UPDATE site_minutes SET events = events + 5 WHERE minute = {FIRST}", "minutes", 5),
        ("UPDATE totals SET log_rows = log_rows - 6", "log", -6),
        ("UPDATE totals SET erased = 7, log_rows = log_rows - 7", "minutes", 7),
        (f"WITH told AS (UPDATE totals SET erased = 1 RETURNING 1) {LESS_BY_ONE}", "log", 1),
    ],
)
def test_a_fault_in_the_store_shows_in_its_check(
    empty_server: Server, shop: Shop, fault: str, check: str, residue: int
) -> None:
    commit(empty_server, shop, fault)
    books = empty_server.data(CHECKS)["books"]
    assert (books["close"], books["residue"]) == (False, abs(residue))
    assert [one for one in books["checks"] if one["residue"]] == [{"name": check, "residue": residue}]


def test_events_of_an_erased_user_are_missing_nowhere(empty_server: Server, shop: Shop) -> None:
    told = "UPDATE totals SET erased = 1, log_rows = log_rows - 1 RETURNING 1"
    commit(empty_server, shop, f"WITH told AS ({told}) {LESS_BY_ONE}")
    books = empty_server.data("{ books { close totals { erased } } }")["books"]
    assert books == {"close": True, "totals": {"erased": 1}}


def test_an_epoch_not_yet_in_the_log_is_no_fault(empty_server: Server, shop: Shop) -> None:
    # The ledger's older lines stand for themselves: only the newest epoch's events are still on their way.
    commit(empty_server, shop, "UPDATE epochs SET applied = 0 WHERE epoch < (SELECT max(epoch) FROM epochs)")
    assert empty_server.data(CHECKS)["books"]["close"] is True
    commit(empty_server, shop, "UPDATE totals SET log_rows = 0, log_epoch = epoch - 1")
    assert empty_server.data(CHECKS)["books"]["close"] is True
    commit(empty_server, shop, "UPDATE totals SET log_rows = 1, log_epoch = epoch - 1")
    assert empty_server.data(CHECKS)["books"]["residue"] == 1
