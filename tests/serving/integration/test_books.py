"""The books when they do not close: each fault shows in its own check."""

import asyncio
import json

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
        ("INSERT INTO tallies VALUES ('rejected', 9, 1, now()), ('clickstream', 1, 9, now())", "accepted", 8),
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


def test_an_hour_whose_minutes_are_no_longer_kept_stands_for_them(empty_server: Server, shop: Shop) -> None:
    moved = (
        f"WITH moved AS (DELETE FROM site_minutes WHERE minute = {FIRST} RETURNING *), gone AS ("
        " INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, fine_gone)"
        " SELECT DISTINCT 'hour', minute, false, 0, now(), true FROM moved) INSERT INTO site_hours SELECT * FROM moved"
    )
    commit(empty_server, shop, moved)
    assert empty_server.data(CHECKS)["books"]["residue"] == 0
    commit(empty_server, shop, moved.replace("false, 0, now(), true", "false, 0, now(), false"))
    assert empty_server.data(CHECKS)["books"]["residue"] > 0


def test_verifications_are_told_newest_first_with_what_differed(empty_server: Server, shop: Shop) -> None:
    """In the form in which processing keeps them."""
    example = {
        "table": "site_minutes",
        "key": {"minute": "2026-03-01T11:00:00Z", "bot": False},
        "kind": "different",
        "cells": [{"column": "views", "expected": 2, "found": None}],
        "evidence": {"events": 3, "event_ids": ["a", "b"], "epochs": [4]},
    }
    kept = json.dumps([example]).replace(":", "\\:")  # no parameters, for SQLAlchemy
    commit(
        empty_server,
        shop,
        'INSERT INTO verifications (at, epoch, "from", until, rows, mismatches, examples, seconds) VALUES'
        f" ('{NOW}', 5, NULL, NULL, 10, 0, '[]', 1.5),"
        f" ('{NOW}', 6, '2026-03-01T11:00Z', '{NOW}', 9, 1, '{kept}', 2.5)",
    )
    told = empty_server.data(
        "{ verifications { at epoch from until rows mismatches duration seconds"
        " examples { table difference kind key { column value } columns { column expected found } events eventIds"
        "  epochs } } }"
    )["verifications"]
    assert [(each["epoch"], each["rows"], each["mismatches"], each["seconds"]) for each in told] == [
        (6, 9, 1, 2.5),
        (5, 10, 0, 1.5),
    ]
    assert [each["duration"] for each in told] == ["PT2.5S", "PT1.5S"]
    assert (told[0]["from"], told[1]["from"], told[1]["examples"]) == ("2026-03-01T11:00:00Z", None, [])
    assert told[0]["examples"] == [
        {
            "table": "site_minutes",
            "difference": "DIFFERENT",
            "kind": "different",
            "key": [{"column": "bot", "value": "false"}, {"column": "minute", "value": "2026-03-01T11:00:00Z"}],
            "columns": [{"column": "views", "expected": "2", "found": "null"}],
            "events": 3,
            "eventIds": ["a", "b"],
            "epochs": [4],
        }
    ]
    assert len(empty_server.data("{ verifications(first: 1) { epoch } }")["verifications"]) == 1
