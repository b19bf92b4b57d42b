"""Rebuilds on a real broker, store and log: tables are what the log says, whatever was in them and whatever goes on."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest

from processing.errors import DefinitionsError
from processing.rebuild import run as rebuilding
from processing.rebuild.differences import Difference
from processing.rebuild.plan import RebuildError, Span
from processing.rebuild.run import Result
from processing.rebuild.shadow import Shadow
from processing.store import one_transaction
from tests.processing import visits as visitors
from tests.processing.builders import START_MS, at
from tests.processing.expected import expected
from tests.processing.integration.forked import die_at
from tests.processing.integration.line import PROJECTIONS, Line, last_line

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

HOUR: Final = timedelta(hours=1)
visits: Final = partial(visitors.visits, users=5, minutes=180)
MINUTES: Final = ("product_minutes", "category_minutes", "site_minutes")


@pytest.fixture(scope="module")
def line(kafka_bootstrap: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Three epochs, the last of which the log has not got yet. Tests leave it with the tables right."""
    line = Line(kafka_bootstrap, postgres_url, tmp_path_factory.mktemp("rebuild"))
    line.epoch(visits("a", 100))
    line.epoch([*visits("b", 60), *visits("a", 3)])
    line.flush()
    line.epoch(visits("c", 30))
    yield line
    line.close()


def rebuild(line: Line, *names: str, span: Span | None = None, swap: bool = True) -> Result:
    return line.place.rebuild(*names, span=span, swap=swap)


def differing(result: Result) -> dict[str, Difference]:
    return {each.table: each for each in result.differences if not each.is_equal}


def assert_right(line: Line) -> None:
    """Tables are what an independent computation makes of the log, once that has everything."""
    line.flush()
    assert line.held() == expected(line.logged())


def spoil(line: Line) -> None:
    """Change a number, take rows away, and make one up."""
    line.execute("UPDATE site_minutes SET views = views + 1 WHERE minute = (SELECT min(minute) FROM site_minutes)")
    line.execute("DELETE FROM sessions")
    line.execute("INSERT INTO user_categories (user_id, category, events, last_epoch) VALUES ('nobody', 'c', 1, 1)")


def test_what_was_changed_is_told_and_made_right_and_nothing_else(line: Line) -> None:
    before = line.held()
    spoil(line)
    spoilt = line.held()
    checked = rebuild(line, swap=False)
    assert line.held() == spoilt
    result = rebuild(line)
    assert differing(checked) == differing(result)
    told = {name: (each.missing, each.extra, each.different) for name, each in differing(result).items()}
    assert told == {
        "site_minutes": (0, 0, 1),
        "sessions": (len(before["sessions"]), 0, 0),
        "user_categories": (0, 1, 0),
    }
    (example,) = differing(result)["site_minutes"].examples
    assert example.live is not None
    assert example.rebuilt is not None
    assert example.live["views"] == example.rebuilt["views"] + 1
    assert differing(result)["user_categories"].examples[0].rebuilt is None
    assert (checked.swapped_epoch, result.swapped_epoch, result.events) == (None, 3, 190)
    assert line.held() == before
    assert_right(line)


def test_of_a_span_only_its_rows_are_replaced(line: Line) -> None:
    line.execute("UPDATE product_minutes SET views = views + 1")
    line.execute("UPDATE conversions SET category = 'x'")
    line.execute("UPDATE carts SET category = 'x'")
    span = Span(at(START_MS) + HOUR, at(START_MS) + 2 * HOUR)
    rebuild(line, span=span)
    inside = "SELECT count(*) AS n FROM conversions WHERE happened_at >= $1 AND happened_at < $2 AND category = 'x'"
    assert line.query(inside, span.start, span.until) == [{"n": 0}]
    outside = rebuild(line)
    for name, time in (("product_minutes", "minute"), ("conversions", "happened_at"), ("carts", "happened_at")):
        (others,) = line.query(
            f"SELECT count(*) AS n FROM {name} WHERE {time} < $1 OR {time} >= $2", span.start, span.until
        )
        assert differing(outside)[name].different == others["n"] > 0
    assert_right(line)


def test_a_stream_goes_on_all_the_while_and_nothing_of_it_is_lost(line: Line) -> None:
    ending, faults = threading.Event(), []

    def go_on() -> None:
        number = 0
        try:
            while not ending.is_set() or number < 2:
                line.epoch(visits(f"go{number}-", 30))
                if number % 2:
                    line.flush()
                number += 1
        except BaseException as error:
            faults.append(error)
            raise

    spoil(line)
    stream = threading.Thread(target=go_on)
    stream.start()
    try:
        result = rebuild(line)
    finally:
        ending.set()
        stream.join(60)
    assert not faults
    assert set(differing(result)) == {"site_minutes", "sessions", "user_categories"}
    assert result.swapped_epoch is not None
    assert result.swapped_epoch >= result.compared_epoch > 2
    assert_right(line)


def test_a_reader_in_the_way_and_another_rebuild_leave_the_tables_as_they_are(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.execute("UPDATE users SET events = events + 1")
    spoilt = line.held()
    monkeypatch.setattr(rebuilding, "_TRIES", 1)
    monkeypatch.setattr(rebuilding, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(rebuilding, "_SWAP_PATIENCE_SECONDS", 0.2)
    with one_transaction(line.postgres, line.postgres.db_schema, application_name="a-report") as report:
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.query("SELECT FROM users")
        with pytest.raises(RebuildError, match=r"as they were.*a-report .*has been reading"):
            rebuild(line, "users")
    other = Shadow(line.postgres, PROJECTIONS)
    other.make()
    with pytest.raises(RebuildError, match="another rebuild of this store is running"):
        rebuild(line, "users")
    other.close()
    assert line.held() == spoilt
    rebuild(line, "users")
    assert_right(line)


def test_tables_of_another_definition_are_refused_by_the_stream_until_they_are_rebuilt(line: Line) -> None:
    line.flush()
    line.execute("UPDATE definitions SET fingerprint = 'other' WHERE name = 'sessions'")
    line.execute("UPDATE definitions SET fingerprint = 'other' WHERE name = 'delays'")
    line.execute("UPDATE sessions SET views = 7")
    with pytest.raises(DefinitionsError, match=r"sessions, delays hold .*`millrace rebuild`"):
        line.start()
    with pytest.raises(RebuildError, match="delays must be rebuilt whole"):
        rebuild(line, "delays", span=Span(at(START_MS), at(START_MS) + HOUR))
    for name in ("sessions", "delays"):
        (difference,) = rebuild(line, name).differences
        assert "another definition" in difference.note
    line.start()
    assert_right(line)


def test_a_ledger_of_another_version_that_no_log_can_make_again_is_refused_by_name(line: Line) -> None:
    line.execute("ALTER TABLE books ALTER COLUMN gaps TYPE text")
    line.execute("UPDATE definitions SET fingerprint = 'other' WHERE name = 'books'")
    for attempt in (line.start, line.place.rebuild):
        with pytest.raises(DefinitionsError, match="table books was made by another version: gaps differ"):
            attempt()
    line.execute(
        "ALTER TABLE books ALTER COLUMN gaps DROP DEFAULT, ALTER COLUMN gaps TYPE bigint USING gaps::bigint,"
        " ALTER COLUMN gaps SET DEFAULT 0"
    )
    line.start()
    assert_right(line)


def drop_hour(line: Line, grain: str, hour: Any) -> None:
    """As retention does, once the hour is made."""
    for name in MINUTES if grain == "hour" else ("sessions",):
        if name == "sessions":
            line.execute(
                "UPDATE sessions SET path = '{}' WHERE started_at >= $1 AND started_at < $2", hour, hour + HOUR
            )
        else:
            line.execute(f"DELETE FROM {name} WHERE minute >= $1 AND minute < $2", hour, hour + HOUR)
    line.execute(
        "INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, fine_gone)"
        " VALUES ($1, $2, false, 0, now(), true)",
        grain,
        hour,
    )


def cells(line: Line) -> dict[tuple[str, int], tuple[bool, bool]]:
    """Stale and gone, by grain and hours since the first."""
    return {
        (row["grain"], (row["starts_at"] - at(START_MS)) // HOUR): (row["stale"], row["fine_gone"])
        for row in line.query("SELECT grain, starts_at, stale, fine_gone FROM roll_ups")
    }


def test_rows_that_retention_dropped_come_back_only_with_all_that_their_hours_are_made_of(line: Line) -> None:
    first = at(START_MS).replace(minute=0)
    drop_hour(line, "hour", first)
    drop_hour(line, "session_hour", first)
    for grain, hour in (
        ("window_hour", first),
        ("hour", first + HOUR),
        ("hour", first + 2 * HOUR),
        ("day", first.replace(hour=0)),
    ):
        line.execute(
            "INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, fine_gone)"
            " VALUES ($1, $2, false, 0, now(), false)",
            grain,
            hour,
        )
    day = (first.replace(hour=0) - at(START_MS)) // HOUR
    dropped = line.held()
    assert differing(rebuild(line, swap=False)) == {}

    rebuild(line, "product_minutes", span=Span(first + HOUR, first + 2 * HOUR))
    assert cells(line) == {
        ("hour", 0): (False, True),
        ("session_hour", 0): (False, True),
        ("window_hour", 0): (False, False),
        ("hour", 1): (True, False),
        ("hour", 2): (False, False),
        ("day", day): (True, False),
    }
    rebuild(line, "product_minutes")
    assert line.held() == dropped
    assert (cells(line)["hour", 0], cells(line)["hour", 2]) == ((False, True), (True, False))
    line.execute("UPDATE definitions SET fingerprint = 'other' WHERE name = 'product_minutes'")
    with pytest.raises(RebuildError, match="rebuild category_minutes, product_minutes, site_minutes"):
        rebuild(line, "product_minutes")

    line.store.close()  # nobody may write by another definition
    rebuild(line)
    line.start()
    assert set(cells(line).values()) == {(True, False)}
    line.execute("DELETE FROM roll_ups")
    assert_right(line)


def test_a_rebuild_killed_in_its_last_moment_has_changed_nothing_and_the_next_one_is_whole(line: Line) -> None:
    spoil(line)
    spoilt = line.held()
    die_at(rebuilding.SWAPPING, line.place.rebuild)
    assert line.held() == spoilt
    line.epoch(visits("d", 10))
    rebuild(line)
    assert_right(line)
    assert line.query("SELECT FROM pg_namespace WHERE nspname = $1", f"{line.postgres.db_schema}_rebuild") == []


def test_the_verb_says_differs_or_done_by_its_exit_code_and_does_what_it_is_asked_for_alone(line: Line) -> None:
    line.execute("UPDATE users SET views = views + 1 WHERE user_id = 'u1'")
    line.execute("UPDATE orders SET units = units + 1")
    differs = line.call("rebuild", "--check", "--json")
    assert differs.exit_code == 1, differs.stderr
    told = {
        each["table"]: each["different"] for each in json.loads(last_line(differs))["differences"] if each["different"]
    }
    assert told == {"users": 1, "orders": len(line.held()["orders"])}
    command = [sys.executable, "-m", "processing", "rebuild", "-p", "users"]
    done = subprocess.run(command, env=line.environment(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "1 different" in done.stdout
    assert "in their place as of epoch" in done.stdout
    wrong = line.call("rebuild", "--from", "2026-03-01")
    assert (wrong.exit_code, "go together" in wrong.stderr) == (2, True)
    assert list(differing(rebuild(line, "orders", "users"))) == ["orders"]
    assert_right(line)
