"""Erasures on a real broker, store and event log: the person is nowhere, and nobody else's number has moved."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from contracts import topics
from contracts.people import hash_of
from contracts.projections import ALL as PROJECTED
from processing import gate
from processing.erase import run as erasing
from processing.erase.scopes import SCOPES
from processing.event_log import EventLog
from processing.log_files import LogFiles
from processing.store import one_transaction
from tests.conftest import new_database
from tests.processing.builders import START_MS, Event, at, click, rejection, sale
from tests.processing.expected import expected
from tests.processing.integration.forked import die_at
from tests.processing.integration.line import Line
from tests.processing.integration.processor import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

PERSON: Final = "it's \\ünï\" 🛒"
MINUTE_MS: Final = 60_000
ACTIONS: Final = ("page_view", "view", "click", "add_to_cart", "checkout_start", "search")


@pytest.fixture
def make_line(kafka_bootstrap: str, postgres_server: str, tmp_path: Path) -> Iterator[Callable[[], Line]]:
    lines: list[Line] = []

    def make() -> Line:
        lines.append(Line(kafka_bootstrap, new_database(postgres_server), tmp_path / str(len(lines))))
        return lines[-1]

    yield make
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def shared(kafka_bootstrap: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """For tests with a person of their own each."""
    line = Line(kafka_bootstrap, postgres_url, tmp_path_factory.mktemp("shared"))
    yield line
    line.close()


def visits(dice: random.Random, name: str, count: int, users: list[str]) -> list[Event]:
    """Users who share minutes, products and sessions within an hour and a half."""
    events = []
    for number in range(count):
        user = dice.choice(users)
        shared: Event = {
            "user_id": user,
            "session_id": dice.choice(("shared", f"s-{users.index(user)}")),
            "timestamp": START_MS + dice.randrange(90) * MINUTE_MS,
            "product_id": f"p{dice.randrange(3)}",
            "category": f"c{dice.randrange(2)}",
        }
        if dice.random() < 0.3:
            events.append(sale(f"{name}-{number}", **shared, order_id=f"o{dice.randrange(9)}"))
        else:
            events.append(click(f"{name}-{number}", **shared, action=dice.choice(ACTIONS)))
    return events


def totals(line: Line) -> dict[str, int]:
    (row,) = line.query("SELECT * FROM totals")
    return row


def assert_exact(line: Line) -> None:
    """Tables are what the log says, by an independent computation; and the books close."""
    rows = line.logged()
    held, wanted = line.held(), expected(rows)
    assert {name: held[name] for name in held} == wanted
    sums = totals(line)
    assert sums["records"] == sum(sums[name] for name in ("applied", "duplicates", "quarantined", "rejected"))
    assert sums["log_rows"] == len(rows) == sums["applied"] - sums["erased"]
    (minutes,) = line.query("SELECT sum(events)::bigint AS events FROM site_minutes")
    assert minutes["events"] == sums["applied"] - sums["erased"]


def assert_gone(line: Line, user_id: str) -> None:
    """No row of the store and no file of the log has the id."""
    assert user_id not in {row["user_id"] for row in line.logged()}
    for file in (line.log_path / "events").rglob("*.parquet"):
        assert user_id not in pq.read_table(file, columns=["user_id"])["user_id"].to_pylist(), file
    tables = line.query("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = $1", line.postgres.db_schema)
    needles = (user_id, json.dumps(user_id)[1:-1], json.dumps(user_id, ensure_ascii=False)[1:-1])
    for table in (row["name"] for row in tables):
        for row in line.query(f"SELECT t.*::text AS row FROM {table} t"):
            assert not any(needle in row["row"] for needle in needles), table
    for table in ("rejected_events", "quarantine"):
        for row in line.query(f"SELECT raw FROM {table}"):
            assert user_id.encode() not in row["raw"]
            assert json.dumps(user_id)[1:-1].encode() not in row["raw"]


def test_a_person_is_taken_out_and_everything_else_is_as_if_they_had_never_come(make_line: Callable[[], Line]) -> None:
    line, dice = make_line(), random.Random(1)
    users = [PERSON, "it's", "u2", "u3"]
    first = visits(dice, "a", 150, users)
    line.epoch(first)
    line.flush()
    theirs = next(event for event in first if event["user_id"] == PERSON and "event_id" in event)
    line.send([theirs, theirs | {"page_url": "/other"}])
    line.send([sale("bad", user_id=PERSON, quantity=0), sale("bad2", user_id="u2", quantity=0)])
    named, other = (
        json.dumps({"user_id": PERSON}).encode(),
        json.dumps({"user_id": "u2", "note": PERSON + "?"}).encode(),
    )
    line.send([rejection("r1", raw=named, event_id="x", detail="of them"), rejection("r2", raw=other)])
    line.epoch(visits(dice, "b", 80, users))  # not in the log yet
    before, quarantined = totals(line), line.query("SELECT count(*) AS n FROM quarantine")
    count = sum(row["events"] for row in line.query("SELECT events FROM users WHERE user_id = $1", PERSON))
    line.execute(
        "INSERT INTO verifications (epoch, rows, mismatches, examples, seconds) VALUES (1, 1, 1, $1::text::jsonb, 1)",
        json.dumps([{"key": {"user_id": PERSON}}]),
    )
    told = line.place.erase(PERSON)

    assert_exact(line)
    kept = line.query("SELECT raw, event_id, detail FROM rejected_events ORDER BY rejection_id")
    assert kept[0] == {"raw": b"", "event_id": None, "detail": "erased"}
    assert kept[1]["raw"] == other
    line.execute("DELETE FROM rejected_events WHERE rejection_id = 'r2'")  # it has the text, and names another
    assert_gone(line, PERSON)
    after = totals(line)
    assert after == before | {"erased": count, "log_rows": after["log_rows"], "log_epoch": 2}
    assert line.query("SELECT count(*) AS n FROM quarantine") == quarantined
    assert [row["raw"] == b"" for row in line.query('SELECT raw FROM quarantine ORDER BY topic, "offset"')] == [
        True,
        False,
    ]
    assert {row["event_id"] for row in line.query("SELECT event_id FROM duplicates")} == {""}
    assert told["events"] == count
    assert told["user_hash"] == hash_of(PERSON).hex()
    assert told["blanked"] == {"duplicates": 2, "rejected_events": 1, "quarantine": 1, "verifications": 1}
    assert told["event_log"]["version_after"] > told["event_log"]["version_before"]
    assert told["event_log"]["files_deleted"] > 0
    assert {f"kafka topic {topic.name}" for topic in topics.ALL if topic is not topics.TALLIES} <= told[
        "copies_until"
    ].keys()
    assert PERSON not in json.dumps(told, ensure_ascii=False)
    (row,) = line.query("SELECT receipt::text AS receipt, touched, erased_at FROM erased_users")
    assert (json.loads(row["receipt"]), row["touched"]) == (told, None)

    # What waited in the processor's memory for the log is not appended again, and what comes is no longer taken.
    line.epoch(visits(dice, "c", 60, users))
    line.flush()
    assert_exact(line)
    assert_gone(line, PERSON)
    blocked = line.query("SELECT raw FROM quarantine WHERE reason = 'user_erased'")
    assert 0 < len(blocked) < 60
    assert {row["raw"] for row in blocked} == {b""}
    line.epoch([rejection("r3", raw=named)])
    assert line.query("SELECT raw FROM rejected_events WHERE rejection_id = 'r3'") == [{"raw": b""}]

    # A second run, and a processor that starts anew, find nothing to do.
    held = line.held()
    assert line.place.erase(PERSON) == told
    line.start()
    assert line.held() == held
    assert_exact(line)
    assert line.query("SELECT count(*) AS n FROM erased_users") == [{"n": 1}]


def test_a_dry_run_counts_and_changes_nothing(make_line: Callable[[], Line]) -> None:
    line = make_line()
    line.epoch([click("a"), sale("b"), click("c", user_id="u2", session_id="s2", timestamp=START_MS + MINUTE_MS)])
    line.flush()
    held, log = line.held(), LogFiles.of(line.log_path)
    outline = line.place.erasure().outline("u1")
    assert (outline.events, outline.blocked) == (2, False)
    assert outline.rows["users"] == outline.rows["site_minutes"] == outline.rows["sessions"] == 1
    assert (line.held(), LogFiles.of(line.log_path)) == (held, log)
    assert line.query("SELECT FROM erased_users") == []


def waits(line: Line) -> bool:
    """Whether somebody waits for a lock in the line's database."""
    sql = (
        "SELECT FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = current_database()"
    )
    return len(line.query(sql)) > 0


def test_an_epoch_under_way_while_a_person_is_blocked_takes_none_of_their_events(make_line: Callable[[], Line]) -> None:
    line = make_line()
    line.epoch([click("a", user_id="other")])
    line.send([click("late", user_id=PERSON), click("b", user_id="other")])
    with one_transaction(line.postgres, line.postgres.db_schema) as transaction:
        gate.shut(transaction, 10)
        # Its events are computed with nobody blocked; then it waits at the gate.
        epoch = threading.Thread(target=line.epoch)
        epoch.start()
        eventually(lambda: waits(line), "the epoch at the gate")
        transaction.execute("INSERT INTO erased_users (user_hash, blocked_at) VALUES ($1, now())", (hash_of(PERSON),))
    epoch.join(60)
    line.flush()
    assert [row["user_id"] for row in line.query("SELECT user_id FROM users")] == ["other"]
    assert line.query("SELECT reason, raw FROM quarantine") == [{"reason": "user_erased", "raw": b""}]
    assert {row["event_id"] for row in line.logged()} == {"a", "b"}
    assert_exact(line)


def test_an_append_to_the_log_waits_while_a_person_is_blocked(make_line: Callable[[], Line]) -> None:
    line = make_line()
    line.epoch([click("a")])
    with one_transaction(line.postgres, line.postgres.db_schema) as transaction:
        gate.shut(transaction, 10)
        append = threading.Thread(target=line.flush)
        append.start()
        eventually(lambda: waits(line), "the append at the gate")
        assert append.is_alive()
        assert LogFiles.of(line.log_path).rows == 0
    append.join(60)
    assert_exact(line)


def test_epochs_that_another_has_appended_are_in_the_books_with_the_next_append(make_line: Callable[[], Line]) -> None:
    line = make_line()
    line.epoch([click("a"), click("b")])
    other = EventLog(line.log_path, 0.0)  # as an erasure that was killed before its commit
    held = other.open()
    with one_transaction(line.postgres, line.postgres.db_schema) as transaction:
        for epoch, events in line.place.reader().epochs_after(transaction, held):
            other.add(epoch, events)
    other.flush()
    line.epoch([click("c")])
    line.flush()
    assert len(line.logged()) == 3
    assert_exact(line)


def test_a_stream_that_goes_on_ends_up_without_the_person(make_line: Callable[[], Line]) -> None:
    line, dice = make_line(), random.Random(2)
    users = [PERSON, "u1", "u2"]
    line.epoch(visits(dice, "start", 100, users))
    line.flush()
    ending, faults = threading.Event(), []

    def go_on() -> None:
        number = 0
        try:
            while not ending.is_set() or number < 3:
                line.epoch(visits(dice, f"go-{number}", 30, users))
                if number % 2:
                    line.flush()
                number += 1
        except BaseException as error:
            faults.append(error)
            raise

    stream = threading.Thread(target=go_on)
    stream.start()
    told = line.place.erase(PERSON)
    ending.set()
    stream.join(60)
    line.flush()
    assert not faults
    assert_exact(line)
    assert_gone(line, PERSON)
    assert totals(line)["erased"] == told["events"] > 0
    assert line.query("SELECT count(*) > 0 AS some FROM quarantine WHERE reason = 'user_erased'") == [{"some": True}]


@pytest.mark.parametrize(
    "place", [erasing.BLOCKED, erasing.DELETED, erasing.MADE_AGAIN, erasing.COMMITTED, erasing.VACUUMED]
)
def test_an_erasure_killed_anywhere_is_ended_by_the_next_run(shared: Line, place: str) -> None:
    line, dice, person = shared, random.Random(place), f"{PERSON} {place}"
    users, theirs = [person, "u1", "u2"], hash_of(person)
    line.epoch(visits(dice, f"{place}-a", 80, users))
    line.flush()
    line.epoch(visits(dice, f"{place}-b", 30, users))  # which the log lacks
    (count,) = line.query("SELECT events FROM users WHERE user_id = $1", person)
    die_at(place, line.place.erase, person)
    erased = line.query("SELECT erased_at FROM erased_users WHERE user_hash = $1", theirs)
    assert erased == [{"erased_at": None}]
    line.epoch(visits(dice, f"{place}-c", 30, users))
    if place == erasing.DELETED:
        line.start()  # a processor that counts the log anew in between
    told = line.place.erase(person)
    assert told["events"] == count["events"]
    assert told["rows"]["users"] == 1
    line.flush()
    assert_exact(line)
    assert_gone(line, person)


def test_the_verb_shows_first_and_erases_with_yes(make_line: Callable[[], Line]) -> None:
    line = make_line()
    line.epoch([click("a"), click("b", user_id="u2", session_id="s2")])
    line.flush()

    shown = line.call("erase", "--user", "u1")
    assert (shown.exit_code, "Nothing was erased" in shown.stdout) == (0, True), shown.stderr
    assert "1 events in the log" in shown.stdout
    assert len(line.logged()) == 2
    command = [sys.executable, "-m", "processing", "erase", "--user", "u1", "--yes", "--json"]
    done = subprocess.run(command, env=line.environment(), capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, json.loads(done.stdout)["events"]) == (0, 1), done.stderr
    assert len(line.logged()) == 1
    assert line.call("explain", "a").exit_code == 1
    found = line.call("explain", "b", "--json")
    assert (found.exit_code, json.loads(found.stdout)["verdict"]) == (0, "applied")


def test_roll_ups_of_touched_hours_are_made_again_and_hours_without_minutes_get_them_back(
    make_line: Callable[[], Line],
) -> None:
    line = make_line()
    hour_ms = 60 * MINUTE_MS
    line.epoch(
        [
            click("old", timestamp=START_MS + MINUTE_MS),
            click("old-other", user_id="u2", session_id="s2", timestamp=START_MS + 5 * MINUTE_MS),
            click("new", timestamp=START_MS + 2 * hour_ms),
            click("new-other", user_id="u2", session_id="s2", timestamp=START_MS + 3 * hour_ms),
        ]
    )
    line.flush()
    hours = [at(START_MS + number * hour_ms) for number in range(4)]
    for grain, hour in product(("hour", "window_hour"), hours):
        line.execute(
            "INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, fine_gone)"
            " VALUES ($1, $2, false, 0, now(), $3)",
            grain,
            hour,
            grain == "hour" and hour < hours[1],
        )
    for table in ("product_minutes", "category_minutes", "site_minutes"):
        line.execute(f"DELETE FROM {table} WHERE minute < $1", hours[1])
    line.place.erase("u1")
    minutes = [row["minute"] for row in line.query("SELECT minute FROM site_minutes ORDER BY minute")]
    assert minutes == [at(START_MS + 5 * MINUTE_MS), hours[3]]
    stale = [
        (row["grain"], row["starts_at"]) for row in line.query("SELECT grain, starts_at FROM roll_ups WHERE stale")
    ]
    assert sorted(stale) == [(grain, hours[n]) for grain in ("hour", "window_hour") for n in (0, 2)]


def test_every_projection_has_a_scope() -> None:
    assert sorted(name for scope in SCOPES for name in scope.projections) == sorted(table.name for table in PROJECTED)
