"""Verification on a real store and log: what is changed behind processing's back is found, and named."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from deltalake import DeltaTable

from contracts.projections import ALL
from contracts.rollups import TABLES, category_windows
from contracts.settings import PostgresSettings
from processing import ledger
from processing.event_log import EventLog
from processing.ledger import TALLY, Entry
from processing.maintenance.retention import kept_for
from processing.store import Store
from processing.verification import run as verification
from processing.verification.compare import Mismatch
from processing.verification.results import as_json, keep
from processing.verification.run import Outcome, Verification
from processing.verification.served import WHOLE, AtRandom, Span, VerificationError
from tests.processing import visits as visitors
from tests.processing.builders import START_MS, at, batch_of, click, record
from tests.processing.integration.line import SHOP, Line, last_line
from tests.processing.log_rows import log_table, logged
from tests.processing.rolled_shop import LONG_AFTER, a_shop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

visits: Final = partial(visitors.visits, users=3, minutes=90)


@pytest.fixture(scope="module")
def line(kafka_bootstrap: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Two epochs, in the log as well. Whoever changes something puts it right again."""
    line = Line(kafka_bootstrap, postgres_url, tmp_path_factory.mktemp("verify"))
    line.epoch([*visits("a", 60), *visits("a", 2)])
    line.epoch([*visits("b", 60), click("late", timestamp=START_MS + 30_000)])
    line.flush()
    yield line
    line.close()


def verify(
    line: Line, asked: Span | AtRandom = WHOLE, tell: Callable[[str, int, int], None] = lambda *_: None
) -> Outcome:
    return Verification(
        line.postgres,
        line.log_path,
        line.log_path.parent / "verify",
        shop=SHOP,
        threads=1,
        tell=tell,
    ).run(asked)


def only(outcome: Outcome, table: str) -> Mismatch:
    """The one mismatch that there is."""
    (verdict,) = [each for each in outcome.verdicts if each.mismatches]
    assert (verdict.table, outcome.mismatches) == (table, 1)
    return verdict.examples[0]


def test_what_the_stream_made_of_the_log_is_what_is_found(line: Line) -> None:
    outcome = verify(line)
    assert (outcome.mismatches, outcome.epoch) == (0, 2)
    compared = {each.table: each.rows for each in outcome.verdicts}
    for table in ALL:
        (held,) = line.query(f"SELECT count(*) AS n FROM {table.name}")
        assert compared[table.name] == held["n"] > 0


def test_a_random_span_has_events_and_no_more_of_them_than_asked_where_a_minute_is_less(line: Line) -> None:
    outcome = verify(line, AtRandom(30))
    (counted,) = line.query(
        "SELECT sum(events)::bigint AS n FROM site_minutes WHERE minute >= $1 AND minute < $2",
        outcome.span.since,
        outcome.span.until,
    )
    assert 0 < counted["n"] <= 30
    assert outcome.mismatches == 0
    assert outcome.rows > 0


def test_an_altered_number_is_named_with_its_window_and_the_events_behind_it(line: Line) -> None:
    (row,) = line.query("SELECT minute, product_id, category, views FROM product_minutes WHERE events > 1 LIMIT 1")
    change = "UPDATE product_minutes SET views = views + $4 WHERE minute = $1 AND product_id = $2 AND category = $3"
    key = (row["minute"], row["product_id"], row["category"])
    line.execute(change, *key, 1)
    mismatch = only(verify(line), "product_minutes")
    line.execute(change, *key, -1)
    assert mismatch.key == {
        "minute": row["minute"].isoformat().replace("+00:00", "Z"),
        "product_id": row["product_id"],
        "category": row["category"],
        "bot": False,
    }
    assert [(cell.column, cell.expected, cell.found) for cell in mismatch.cells] == [
        ("views", row["views"], row["views"] + 1)
    ]
    theirs = {
        event["event_id"]
        for event in line.logged()
        if (event["product_id"], event["category"]) == key[1:]
        and row["minute"] <= event["timestamp"]
        and event["timestamp"] < row["minute"] + timedelta(minutes=1)
    }
    assert set(mismatch.evidence.event_ids) <= theirs
    assert mismatch.evidence.events == len(theirs)
    assert mismatch.evidence.epochs


def test_a_row_removed_and_a_row_invented_are_found(line: Line) -> None:
    line.execute("CREATE TABLE kept AS SELECT * FROM users WHERE user_id = 'u1'")
    line.execute("DELETE FROM users WHERE user_id = 'u1'")
    removed = only(verify(line), "users")
    line.execute("INSERT INTO users SELECT * FROM kept")
    line.execute("UPDATE kept SET user_id = 'nobody'")
    line.execute("INSERT INTO users SELECT * FROM kept")
    invented = only(verify(line), "users")
    line.execute("DELETE FROM users WHERE user_id = 'nobody'")
    line.execute("DROP TABLE kept")
    assert (removed.kind, removed.key, removed.cells) == ("missing", {"user_id": "u1"}, [])
    assert removed.evidence.events == sum(event["user_id"] == "u1" for event in line.logged())
    assert (invented.kind, invented.key, invented.evidence.events) == ("extra", {"user_id": "nobody"}, 0)


def test_an_epoch_that_the_log_has_not_got_yet_is_waited_for(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.epoch(visits("c", 20))
    monkeypatch.setattr(verification, "_LOG_PATIENCE_SECONDS", 0.0)
    with pytest.raises(VerificationError, match="does processing run"):
        verify(line)
    monkeypatch.undo()
    waited: list[str] = []

    def flush_once(step: str, _done: int, _of: int) -> None:
        if step == "await log" and not waited:
            line.flush()
        waited.append(step)

    assert verify(line, tell=flush_once).mismatches == 0
    assert waited[0] == "await log"


def test_a_stream_that_goes_on_is_verified_as_of_one_epoch(line: Line) -> None:
    ending = threading.Event()

    def go_on() -> None:
        number = 0
        while not ending.is_set():
            line.epoch(visits(f"go{number}-", 30))
            line.flush()
            number += 1

    stream = threading.Thread(target=go_on)
    stream.start()
    try:
        outcome = verify(line)
    finally:
        ending.set()
        stream.join(60)
    assert outcome.mismatches == 0


def test_after_an_erasure_everything_closes(line: Line) -> None:
    line.place.erase("u2")
    line.epoch(visits("after-", 20))
    line.flush()
    outcome = verify(line)
    assert outcome.mismatches == 0
    assert outcome.rows > 0


def test_an_outcome_is_kept_as_it_is_told(line: Line) -> None:
    line.execute("UPDATE orders SET units = units + 1")
    outcome = verify(line)
    line.execute("UPDATE orders SET units = units - 1")
    keep(line.postgres, outcome)
    (row,) = line.query('SELECT epoch, "from", until, rows, mismatches, seconds, examples::text FROM verifications')
    told = as_json(outcome)
    assert json.loads(row.pop("examples")) == told["examples"][:20]
    assert row == {name: told[name] for name in row}
    assert told["tables"]["orders"] == {"rows": row["mismatches"], "mismatches": row["mismatches"]}


def test_an_event_that_the_log_has_lost_is_named_by_its_epoch_and_every_table(line: Line) -> None:
    """The last: nothing puts the event back."""
    (epoch,) = [event["epoch"] for event in line.logged() if event["event_id"] == "late"]
    DeltaTable(str(line.log_path / "events")).delete("event_id = 'late'")
    differs = {each.table: each for each in verify(line).verdicts if each.mismatches}
    assert differs.keys() >= {"books", "site_minutes", "category_minutes", "product_minutes", "sessions", "users"}
    lost = {str(example.key): example.cells[0] for example in differs["books"].examples}
    assert lost["{'sum': 'rows in the event log'}"].expected == lost["{'sum': 'rows in the event log'}"].found + 1
    assert epoch in {1, 2}


def test_hours_and_days_are_verified_and_stand_for_minutes_that_were_dropped(
    store: Store, postgres: PostgresSettings, tmp_path: Path
) -> None:
    shop = a_shop(store, kept=kept_for(minutes=1, conversions=1, paths=1))
    shop.fold([logged(event) for event in visits("a", 60)])
    log = EventLog(tmp_path, 0.0)
    log.open()
    log.add(1, log_table(shop.log))
    log.flush()
    counts = dict.fromkeys(TALLY, 0) | {"records": 60, "applied": 60}
    with store.transaction() as transaction:
        entry = Entry(1, datetime.now(UTC), batch_of([record(click())]), counts, {}, LONG_AFTER)
        ledger.write_entry(transaction, entry)
    shop.make()
    assert shop.query("SELECT FROM site_minutes") == shop.query("SELECT FROM conversions") == []

    def verified(asked: Span | AtRandom = WHOLE) -> Outcome:
        return Verification(postgres, tmp_path, tmp_path / "verify", SHOP, 1, lambda *_: None).run(asked)

    def change(sql: str) -> None:
        with store.transaction() as transaction:
            transaction.execute(sql)

    equal = verified()
    compared = {each.table: each.rows for each in equal.verdicts}
    assert equal.mismatches == 0
    assert compared.keys() == {"books", *(table.name for table in (*ALL, *chain(*TABLES.values())))}
    assert compared["site_minutes"] == compared["category_windows"] == 0
    assert min(compared[table.name] for table in chain(*TABLES.values()) if table is not category_windows) > 0
    drawn = verified(AtRandom(1)).span
    assert drawn.since is not None
    assert drawn.until == drawn.since + timedelta(hours=1)

    change("UPDATE site_days SET views = views + 1")
    change("UPDATE site_hours SET events = events + 1 WHERE hour = (SELECT min(hour) FROM site_hours)")
    wrong = {each.table: each for each in verified().verdicts if each.mismatches}
    assert wrong.keys() == {"site_hours", "site_days", "books"}
    assert wrong["site_hours"].examples[0].key["hour"] == at(START_MS).strftime("%Y-%m-%dT%H:00:00Z")
    spoilt = {
        "session_hours": "duration_ms",
        "journey_hours": "transitions",
        "step_hours": "exits",
        "pair_hours": "sessions",
        "conversion_hours": "purchases",
    }
    for table, column in spoilt.items():
        change(f"UPDATE {table} SET {column} = {column} + 1 WHERE ctid = (SELECT min(ctid) FROM {table})")
    seen = {each.table: each for each in verified().verdicts if each.mismatches}
    assert seen.keys() == wrong.keys() | spoilt.keys()
    for table, column in spoilt.items():
        (example,) = seen[table].examples
        assert (seen[table].mismatches, [cell.column for cell in example.cells]) == (1, [column])
        assert example.evidence.events > 0
    change("UPDATE roll_ups SET stale = true WHERE grain IN ('session_hour', 'conversion_hour')")
    change("UPDATE roll_ups SET stale = true WHERE grain = 'day'")  # which no reader reads now
    assert {each.table for each in verified().verdicts if each.mismatches} == {"site_hours", "books"}


def test_the_verb_says_equal_differs_or_why_it_cannot_tell_by_its_exit_code(
    kafka_bootstrap: str, postgres_url: str, tmp_path: Path
) -> None:
    line = Line(kafka_bootstrap, postgres_url, tmp_path)
    line.epoch(visits("a", 40))
    line.flush()
    command = [sys.executable, "-m", "processing", "verify", "--all"]
    equal = subprocess.run(command, env=line.environment(), capture_output=True, text=True, check=False, timeout=120)
    assert (equal.returncode, "0 of" in equal.stdout) == (0, True), equal.stderr
    assert "all events, as of epoch 1" in equal.stdout
    line.execute("UPDATE users SET views = views + 7 WHERE user_id = 'u1'")
    differs = line.call("verify", "--all", "--json")
    told = json.loads(last_line(differs))
    assert (differs.exit_code, told["mismatches"], told["examples"][0]["key"]) == (1, 1, {"user_id": "u1"})
    kept = line.query("SELECT mismatches FROM verifications ORDER BY id")
    assert [row["mismatches"] for row in kept] == [0, 1]
    cannot = line.call("verify", MILLRACE_LOG_PATH=str(tmp_path / "elsewhere"))
    assert (cannot.exit_code, "there is no event log" in cannot.stderr) == (2, True), cannot.stderr
    wrong = line.call("verify", "--all", "--random")
    assert (wrong.exit_code, "it is one of" in wrong.stderr) == (2, True)
    line.close()
