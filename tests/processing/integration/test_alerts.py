"""From committed rows to a notice at its destination, and to the one that it is over; real Postgres, real sockets."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from contracts.settings import PostgresSettings, ShopSettings
from processing import sketches
from processing.alerting.destinations import Notice
from processing.alerting.sender import Sender
from processing.store import Store
from processing.watch.cli import app
from processing.watch.look import Watcher
from processing.watch.settings import WatchSettings
from schemas_avro import load_registry
from tests.processing.emptied import empty
from tests.processing.minutes_of import MINUTE, commit, rows, write_minute, write_minutes
from tests.processing.receivers import (
    ROUTING_KEY,
    SECRET,
    Mailbox,
    Receiver,
    mailbox,
    pagerduty_fault,
    receiving,
    slack_fault,
    webhook_fault,
)

pytestmark = pytest.mark.integration

CALM = {"events": 200.0, "views": 90.0, "checkouts": 20.0, "purchases": 16.0}
TABLES = (
    *("site_minutes", "category_minutes", "product_minutes", "epochs", "anomalies", "watched"),
    *("deliveries", "alerts", "books", "rejected_events", "quarantine"),
)
NONE: dict[str, Any] = {"flash-sale": {"enabled": False}, "checkout": {"enabled": False}}


@pytest.fixture(scope="module")
def shared(postgres_url: str) -> Iterator[Store]:
    """Tables that the tests empty, and fill, one after another."""
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=f"t{uuid.uuid4().hex}"))
    store.create_tables()
    yield store
    store.close()


@pytest.fixture
def store(shared: Store) -> Store:
    with shared.transaction() as transaction:
        empty(transaction, TABLES)
        transaction.execute("UPDATE totals SET records = 0, applied = 0")
    return shared


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiving(webhook_fault) as receiver:
        yield receiver
        assert receiver.faults == []


@pytest.fixture(scope="module")
def now() -> datetime:
    """The beginning of a minute: what was seen last."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


class Line:
    """A watch and a sender that are moved by hand."""

    def __init__(self, store: Store, postgres_url: str, options: dict[str, Any]) -> None:
        patience_seconds = options.pop("patience_seconds", 30)
        settings = PostgresSettings(url=SecretStr(postgres_url), db_schema=store.schema)
        usual: dict[str, Any] = {"alert_seconds": 0, "anomaly_alerts": False, "rules": NONE, "source": "test"}
        chosen = WatchSettings(**usual | options)
        self.settings, self.destinations = settings, options.get("destinations", {})
        self.own = Store(settings, role="watch")
        self.watcher = Watcher(self.own, chosen, ShopSettings(), load_registry())
        self.sender = Sender(settings, chosen.destinations, patience_seconds)

    def look(self) -> dict[str, int]:
        """Look once and send what is due; returns what became of the deliveries."""
        assert self.watcher.look() is not None
        return self.sender.run_once()


@pytest.fixture
def line(store: Store, postgres_url: str) -> Iterator[Any]:
    made: list[Line] = []

    def make(**options: Any) -> Line:
        for before in made:
            before.own.close()
        made.append(Line(store, postgres_url, options))
        return made[-1]

    yield make
    for each in made:
        each.sender.stop()
        each.own.close()


def _webhook(hook: Receiver, **changes: Any) -> dict[str, Any]:
    own = {"kind": "webhook", "url": hook.url("/x"), "secret": SECRET, "allow_private": True, **changes}
    return {"ops": own}


def _calm(store: Store, now: datetime, hours: float = 1) -> None:
    """A shop that has been calm until now, and is seen until now."""
    with store.transaction() as transaction:
        write_minutes(transaction, now - timedelta(hours=hours), now - MINUTE, 1, CALM)
        commit(transaction, 1, now - 5 * MINUTE, log_time=now)


def _told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(told["type"], told["data"]["title"]) for told in receiver.got]


def _alerts(store: Store) -> list[dict[str, Any]]:
    return rows(store, "SELECT *, members::text AS members FROM alerts ORDER BY id")


FLASH = {"flash-sale": {}, "checkout": {"enabled": False}}


@pytest.mark.parametrize("case", [(101, 4, True), (100, 4, False), (101, 5, False)])
def test_the_flash_sale_rule_at_its_thresholds(
    store: Store, line: Any, now: datetime, case: tuple[int, int, bool]
) -> None:
    views, purchases, fires = case
    with store.transaction() as transaction:  # each of the two products has half of it, spread over the ten minutes
        write_minute(transaction, now - 10 * MINUTE, 1, {"events": 400, "views": 2 * views - 2, "purchases": 0})
        write_minute(transaction, now - MINUTE, 1, {"events": 40, "views": 2, "purchases": 2 * purchases})
        write_minute(transaction, now, 1, {"events": 9000, "views": 9000})  # has only begun
        commit(transaction, 1, now - 5 * MINUTE, log_time=now)
    line(rules=FLASH).look()
    alerts = _alerts(store)
    assert bool(alerts) is fires
    if fires:
        assert [member["subject"] for member in alerts[0]["members"]] == ["b-1", "s-1"]
        assert "views 101 (views above 100), purchases 4 (purchases below 5)" in alerts[0]["members"][0]["says"]


def test_a_rule_that_holds_on_says_what_it_held_for(store: Store, line: Any, now: datetime) -> None:
    _calm(store, now)
    rules = {**NONE, "flash-sale": {"window_minutes": 2}}
    with store.transaction() as transaction:
        write_minute(transaction, now - 3 * MINUTE, 2, {"events": 400, "views": 400, "purchases": 0})
        write_minutes(transaction, now - 2 * MINUTE, now, 2, {"events": 4, "views": 2, "purchases": 0})
    line(rules=rules).look()
    (alert,) = _alerts(store)
    until = now - MINUTE
    assert alert["members"][0]["says"] == (
        f"views 201 (views above 100), purchases 0 (purchases below 5) in the 2 minutes before {until:%H:%M} UTC"
    )


def test_a_rule_with_duration_quotient_and_minimum_volume(store: Store, line: Any, now: datetime) -> None:
    _calm(store, now)
    rule = {
        "title": "Checkouts fail",
        "window_minutes": 2,
        "for_minutes": 3,
        "minimum_events": 300,
        "conditions": [{"metric": "purchases / checkouts", "below": 0.2}],
    }
    watch = line(rules={**NONE, "broken": rule})
    with store.transaction() as transaction:
        for minutes in (1, 2, 3):
            write_minute(transaction, now - minutes * MINUTE, 2, {**CALM, "purchases": 1})
        commit(transaction, 2, now - 5 * MINUTE, log_time=now)
    watch.look()
    assert _alerts(store) == []  # two windows of two minutes in a row
    with store.transaction() as transaction:
        write_minute(transaction, now, 3, {**CALM, "purchases": 1})
        commit(transaction, 3, now - 4 * MINUTE, log_time=now)
    watch.look()
    (alert,) = _alerts(store)
    assert alert["title"] == "Checkouts fail"
    line(rules={**NONE, "broken": {**rule, "minimum_events": 500}}).look()
    assert _alerts(store)[0]["resolved_at"] is not None


def test_rules_on_users_and_on_what_arrived(store: Store, line: Any, now: datetime, hook: Receiver) -> None:
    """The one of the shop waits while nothing is seen of late; the one on arrivals goes by the clock."""
    rules = {
        "crowd": {"title": "A crowd", "window_minutes": 2, "conditions": [{"metric": "unique_users", "above": 2}]},
        "copies": {
            "title": "Copies",
            "window_minutes": 5,
            "for_minutes": 2,
            "conditions": [{"metric": "duplicates / records", "above": 0.2}],
            "minimum_events": 100,
        },
    }
    then = now - timedelta(hours=3)
    with store.transaction() as transaction:
        for minutes, users in ((1, ("u1", "u2")), (2, ("u2", "u3")), (3, ("u4", "u5", "u6"))):
            write_minute(transaction, then - minutes * MINUTE, 1, {"events": 9})
            transaction.execute(
                "UPDATE site_minutes SET users = $1 WHERE minute = $2", (sketches.of(users), then - minutes * MINUTE)
            )
        commit(transaction, 1, then - 5 * MINUTE, log_time=now)
        transaction.execute(
            "UPDATE epochs SET records = 100, duplicates = 30, applied = 70,"
            " committed_at = clock_timestamp() - interval '3 minutes'"
        )
    watch = line(rules={**NONE, **rules}, destinations=_webhook(hook), data={"enabled": False})
    assert watch.look() == {"delivered": 1}
    (copies,) = _alerts(store)
    assert (copies["key"], copies["kind"]) == ("data:rule:copies", "data")
    assert "duplicates / records 0.3 (duplicates / records above 0.2)" in copies["members"][0]["says"]
    watch = line(rules={**NONE, **rules}, destinations=_webhook(hook), alert_within_minutes=600)
    assert watch.look() == {"delivered": 1}
    crowd = _alerts(store)[1]
    assert (crowd["key"], crowd["kind"]) == ("rule:crowd", "shop")
    assert crowd["members"][0]["says"].startswith("unique_users 3 (unique_users above 2) in the 2 minutes")
    with store.transaction() as transaction:
        transaction.execute("UPDATE epochs SET committed_at = clock_timestamp() - interval '20 minutes'")
    watch = line(rules={**NONE, **rules}, destinations=_webhook(hook), data={"enabled": False})
    assert watch.look() == {"delivered": 1}
    assert _told(hook)[-1] == ("alert.resolved", "Copies")
    assert _alerts(store)[1]["resolved_at"] is None


def test_a_notice_of_the_beginning_and_of_the_end_and_none_in_between(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    _calm(store, now, hours=2)
    watch = line(anomaly_alerts=True, destinations=_webhook(hook))
    assert watch.look() == {}
    with store.transaction() as transaction:
        write_minute(transaction, now - 6 * MINUTE, 2, {**CALM, "purchases": 0})
        write_minute(transaction, now - 7 * MINUTE, 2, {**CALM, "purchases": 0})
        commit(transaction, 2, now - 5 * MINUTE, log_time=now)
    # The fixture's shop has too few purchases a minute to be judged: 16. Views are enough.
    assert watch.look() == {}
    with store.transaction() as transaction:
        write_minute(transaction, now - 6 * MINUTE, 3, {**CALM, "views": 4})
        commit(transaction, 3, now - 5 * MINUTE, log_time=now)
    assert watch.look() == {"delivered": 1}
    assert watch.look() == {}
    (opened,) = hook.got
    assert (opened["type"], opened["data"]["title"]) == ("alert.opened", "Views down")
    assert opened["data"]["severity"] == "critical"
    assert "views 4 from" in opened["data"]["members"][0]["says"]
    with store.transaction() as transaction:
        write_minute(transaction, now - 6 * MINUTE, 4, CALM)
        commit(transaction, 4, now - 5 * MINUTE, log_time=now)
    assert watch.look() == {"delivered": 1}
    assert _told(hook) == [("alert.opened", "Views down"), ("alert.resolved", "Views down")]
    assert len({told["data"]["incident"] for told in hook.got}) == 1
    assert len({headers["webhook-id"] for headers in hook.headers}) == 2


def test_what_was_just_flagged_does_not_wait_until_rules_are_looked_at(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    _calm(store, now, hours=2)
    watch = line(anomaly_alerts=True, destinations=_webhook(hook), alert_seconds=3600)
    assert watch.look() == {}
    with store.transaction() as transaction:
        write_minute(transaction, now - 4 * MINUTE, 2, {**CALM, "views": 4})
        commit(transaction, 2, now - 3 * MINUTE - timedelta(seconds=30), log_time=now)
        commit(transaction, 3, now - 3 * MINUTE, log_time=now)  # this one closes the minute,
        commit(transaction, 4, now - 3 * MINUTE, log_time=now)  # which is looked at after two more
        commit(transaction, 5, now - 3 * MINUTE, log_time=now)
        transaction.execute("UPDATE epochs SET committed_at = committed_at - interval '1 minute' * (5 - epoch)")
    looked = watch.watcher.look()
    assert [step.alert.title for step in looked.steps] == ["Views down"]
    (waited,) = looked.waits
    assert 120 <= waited < 180
    assert watch.sender.run_once() == {"delivered": 1}
    assert watch.watcher.look().waits == []


def test_in_a_small_shop_one_visitor_rings_nobody(store: Store, line: Any, now: datetime) -> None:
    with store.transaction() as transaction:
        write_minutes(transaction, now - timedelta(hours=2), now - MINUTE, 1, {"events": 2, "views": 2})
        write_minute(transaction, now - 6 * MINUTE, 1, {"events": 24, "views": 24})
        commit(transaction, 1, now - 5 * MINUTE, log_time=now)
    line(anomaly_alerts=True, data={"enabled": False}).look()
    flagged = rows(store, "SELECT DISTINCT severity FROM anomalies WHERE scope = 'site' AND metric = 'views'")
    assert [each["severity"] for each in flagged] == ["warning"]
    assert _alerts(store) == []


def _reject(transaction: Any, count: int, at: datetime, schema_id: int | None = 5) -> None:
    transaction.execute(
        'INSERT INTO rejected_events (topic, partition, "offset", epoch, rejection_id, received_at, source, reason,'
        " pointer, detail, content_type, raw, truncated, schema_id)"
        " SELECT 'rejected', 0, number, 2, number::text, $1, 'shop-app', 'missing_field', '/amount', '', 'avro/binary',"
        " '', false, $3::bigint::int FROM generate_series(1, $2::bigint) AS numbers (number)",
        (at, count, schema_id),
    )


def test_a_broken_tracker_is_told_apart_from_a_broken_checkout(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    rules = {**NONE, "checkout": {"enabled": True}}
    _calm(store, now)
    with store.transaction() as transaction:
        write_minutes(transaction, now - 12 * MINUTE, now - MINUTE, 2, {**CALM, "purchases": 0})
        commit(transaction, 2, now - 5 * MINUTE, log_time=now)
        _reject(transaction, 60, datetime.now(UTC) - MINUTE)
    watch = line(rules=rules, destinations=_webhook(hook))
    assert watch.look() == {"delivered": 1}
    assert _told(hook) == [("alert.opened", "Events are refused")]
    (member,) = hook.got[0]["data"]["members"]
    assert member["subject"] == "shop-app: missing_field, transactions v2"
    data, checkout = _alerts(store)
    assert (checkout["title"], checkout["explained_by"]) == ("Checkouts do not end in purchases", data["id"])
    # The tracker is mended and the events of that time are long ago; purchases are still missing.
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM rejected_events")
        transaction.execute("UPDATE alerts SET opened_at = opened_at - interval '2 hours' WHERE kind = 'data'")
        transaction.execute(
            "UPDATE alerts SET resolved_at = clock_timestamp() - interval '50 minutes' WHERE kind = 'data'"
        )
    assert watch.look() == {"delivered": 1}
    assert _told(hook)[1:] == [("alert.opened", "Checkouts do not end in purchases")]


def test_few_refusals_among_many_events_are_no_fault_unless_they_are_far_more_than_usual(
    store: Store, line: Any, now: datetime
) -> None:
    _calm(store, now)
    with store.transaction() as transaction:
        transaction.execute("UPDATE epochs SET applied = 10000, committed_at = clock_timestamp()")
        transaction.execute("UPDATE totals SET records = 10000, applied = 10000")
        transaction.execute(
            "INSERT INTO books (topic, partition, first_offset, next_offset, records) VALUES ('x', 0, 0, 10000, 10000)"
        )
        _reject(transaction, 30, datetime.now(UTC) - MINUTE)
        transaction.execute(
            'INSERT INTO rejected_events (topic, partition, "offset", epoch, rejection_id, received_at, source, reason,'
            ' pointer, detail, content_type, schema_id, raw, truncated) SELECT topic, 1, "offset", epoch, rejection_id,'
            " received_at - interval '15 min', source, reason, pointer, detail, content_type, schema_id, raw, truncated"
            " FROM rejected_events"
        )
    watch = line()
    watch.look()
    assert _alerts(store) == []
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM rejected_events WHERE partition = 1")  # it has never happened before
    watch.look()
    assert [alert["key"] for alert in _alerts(store)] == ["data:rejected"]


def test_silence_delay_books_and_bots(store: Store, line: Any, now: datetime) -> None:
    watch = line(data={"silent_seconds": 0.01})
    with store.transaction() as transaction:
        for epoch in range(1, 31):
            commit(transaction, epoch, now - 5 * MINUTE, log_time=now - 4 * MINUTE)
        transaction.execute("UPDATE epochs SET applied = 100")
        transaction.execute("UPDATE totals SET records = 3001, applied = 3000")
        write_minute(transaction, now - MINUTE, 30, {"events": 400}, bot=True)
        write_minute(transaction, now - 2 * MINUTE, 30, {"events": 300})
    watch.look()
    assert {alert["key"] for alert in _alerts(store)} == {"data:behind", "data:books", "data:bots"}
    time.sleep(0.02)  # of the silence before it began to watch, a watch says nothing
    watch.look()
    found = {alert["key"]: alert["members"] for alert in _alerts(store)}
    assert found.keys() == {"data:silent", "data:behind", "data:books", "data:bots"}
    assert "nothing committed since" in found["data:silent"][0]["says"]
    assert [member["subject"] for member in found["data:books"]] == ["outcomes", "partitions"]
    assert found["data:bots"][0]["says"].startswith("400 of 700 events")


def test_after_an_import_nobody_waits_for_more(store: Store, line: Any, now: datetime) -> None:
    with store.transaction() as transaction:
        commit(transaction, 1, now - 5 * MINUTE, log_time=now - 10 * MINUTE)
        transaction.execute("UPDATE epochs SET applied = 9000, imported = 9000")
    watch = line(data={"silent_seconds": 0.01})
    for _ in range(2):
        watch.look()
        time.sleep(0.02)
    assert _alerts(store) == []
    with store.transaction() as transaction:
        transaction.execute("UPDATE epochs SET imported = 1000")
    watch.look()
    assert [alert["key"] for alert in _alerts(store)] == ["data:silent"]


def test_what_the_shop_says_of_long_ago_opens_nothing_and_ends_nothing(store: Store, line: Any, now: datetime) -> None:
    then = now - timedelta(hours=3)
    with store.transaction() as transaction:
        write_minutes(transaction, then - 20 * MINUTE, then - MINUTE, 1, {"events": 400, "views": 400})
        commit(transaction, 1, then - 5 * MINUTE, log_time=now)
    line(rules=FLASH).look()
    assert _alerts(store) == []
    line(rules=FLASH, alert_within_minutes=600).look()
    assert len(_alerts(store)) == 1
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM product_minutes")
    line(rules=FLASH).look()
    assert _alerts(store)[0]["resolved_at"] is None


def _flash(store: Store, now: datetime, line: Any, **options: Any) -> Line:
    """A watch over a shop in which the flash sale rule holds."""
    with store.transaction() as transaction:
        write_minutes(transaction, now - 20 * MINUTE, now - MINUTE, 1, {"events": 400, "views": 400})
        commit(transaction, 1, now - 5 * MINUTE, log_time=now)
    made: Line = line(rules=options.pop("rules", FLASH), **options)
    return made


def _over(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM product_minutes")


def _due_now(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.execute("UPDATE deliveries SET due_at = clock_timestamp() WHERE attempts > 0")


def test_a_notice_that_is_not_taken_is_sent_again_with_the_same_id_and_the_end_waits_for_it(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    hook.answers = [(503, {"Retry-After": "120"}), (429, {})]
    watch = _flash(store, now, line, destinations=_webhook(hook))
    assert watch.look() == {"put_off": 1}
    (row,) = rows(store, "SELECT *, extract(epoch FROM due_at - clock_timestamp())::float8 AS wait FROM deliveries")
    assert row["error"].startswith("127.0.0.1 answered 503")
    assert 110 < row["wait"] <= 120
    _due_now(store)
    assert watch.look() == {"put_off": 1}
    _over(store)
    assert watch.look() == {}
    _due_now(store)
    assert watch.look() == {"delivered": 1}
    assert watch.look() == {"delivered": 1}
    assert [told["type"] for told in hook.got] == ["alert.opened", "alert.resolved"]
    *opened, resolved = [headers["webhook-id"] for headers in hook.tried]
    assert (len(opened), len({*opened})) == (3, 1)
    assert resolved not in opened


def test_a_notice_whose_answer_was_lost_comes_again_as_the_same_one(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    hook.answers = [(0, {})]
    watch = _flash(store, now, line, destinations=_webhook(hook))
    assert watch.look() == {"put_off": 1}
    _due_now(store)
    assert watch.look() == {"delivered": 1}
    assert [told["type"] for told in hook.got] == ["alert.opened", "alert.opened"]
    assert len({headers["webhook-id"] for headers in hook.headers}) == 1


def test_what_is_refused_is_not_sent_again_and_redirects_are_not_followed(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    hook.answers = [(302, {"Location": hook.url("/elsewhere")})]
    watch = _flash(store, now, line, destinations=_webhook(hook))
    assert watch.look() == {"dropped": 1}
    (row,) = rows(store, "SELECT error, dropped_at FROM deliveries")
    assert row["error"] == "127.0.0.1 answered 302: it redirects"
    assert hook.got == []


def _until(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)


@dataclass
class Hanging:
    """A destination that takes a notice when it is let go, and no sooner."""

    let_go: threading.Event = field(default_factory=threading.Event)
    taken: int = 0

    knows_acknowledgement = False

    def wants(self, kind: str, severity: str) -> bool:
        return True

    def send(self, notice: Notice) -> None:
        self.let_go.wait(120)
        self.taken += 1


def test_a_destination_that_hangs_holds_up_nobody_else(store: Store, line: Any, now: datetime, hook: Receiver) -> None:
    destinations = {"a-slow": _webhook(hook)["ops"], **_webhook(hook)}
    watch = _flash(store, now, line, destinations=destinations, patience_seconds=0.01)
    slow = Hanging()
    watch.sender._destinations = {**watch.sender._destinations, "a-slow": slow}

    def told(count: int) -> bool:
        watch.look()
        return len(hook.got) == count

    try:
        _until(lambda: told(1), "the beginning")
        _over(store)
        _until(lambda: told(2), "the end")
        assert slow.taken == 0
    finally:
        slow.let_go.set()
        watch.sender.stop()
    assert slow.taken == 1


def test_a_sender_that_is_stopped_waits_for_the_answer_to_what_it_has_sent(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    watch = _flash(store, now, line, destinations=_webhook(hook), patience_seconds=0.01)
    hook.hangs.set()
    watch.look()
    _until(lambda: hook.tried, "the attempt")
    answer = threading.Timer(0.2, hook.hangs.clear)
    answer.start()
    watch.sender.stop()
    answer.join()
    (row,) = rows(store, "SELECT attempts, delivered_at FROM deliveries")
    assert row["attempts"] == 1
    assert row["delivered_at"] is not None


def test_an_alert_keeps_the_name_of_the_stack_that_its_first_notice_had(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    """A container that is made anew has another host name, and PagerDuty would know no such incident."""
    _flash(store, now, line, destinations=_webhook(hook), source="first").look()
    _over(store)
    renamed = line(rules=FLASH, destinations=_webhook(hook), source="second")
    renamed.look()
    with store.transaction() as transaction:
        write_minutes(transaction, now - 20 * MINUTE, now - MINUTE, 1, {"events": 400, "views": 400})
    renamed.look()
    assert [(told["type"], told["data"]["source"]) for told in hook.got] == [
        ("alert.opened", "first"),
        ("alert.resolved", "first"),
        ("alert.opened", "second"),
    ]
    assert len({told["data"]["incident"] for told in hook.got}) == 2


def test_private_addresses_are_refused_unless_allowed(store: Store, line: Any, now: datetime, hook: Receiver) -> None:
    watch = _flash(store, now, line, destinations=_webhook(hook, allow_private=False))
    assert watch.look() == {"dropped": 1}
    assert "is no public address" in rows(store, "SELECT error FROM deliveries")[0]["error"]
    assert hook.got == []


def test_slack_pagerduty_and_mail_get_what_they_can_read(store: Store, line: Any, now: datetime) -> None:
    with receiving(slack_fault) as slack, receiving(pagerduty_fault) as pager, mailbox() as box:
        watch = _flash(
            store,
            now,
            line,
            destinations={
                "chat": {"kind": "slack", "url": slack.url("/services/T/B/secret"), "allow_private": True},
                "pager": {
                    "kind": "pagerduty",
                    "routing_key": ROUTING_KEY,
                    "url": pager.url("/v2/enqueue"),
                    "allow_private": True,
                },
                "mail": _mail(box),
                "only-the-worst": {**_mail(box), "minimum": "critical"},
                "only-data": {**_mail(box), "kinds": ["data"]},
            },
        )
        assert watch.look() == {"delivered": 3}
        with store.transaction() as transaction:
            transaction.execute("UPDATE alerts SET acknowledged_at = clock_timestamp(), acknowledged_by = 'me'")
        assert watch.look() == {"delivered": 1}
        assert watch.look() == {}
        _over(store)
        assert watch.look() == {"delivered": 3}
    assert slack.faults == pager.faults == []
    assert [told["text"] for told in slack.got] == [
        "[warning] Viewed much, bought little",
        "[resolved] Viewed much, bought little",
    ]
    assert [told["event_action"] for told in pager.got] == ["trigger", "acknowledge", "resolve"]
    assert len({told["dedup_key"] for told in pager.got}) == 1
    assert [mail["Subject"] for mail in box.mails] == [
        "[warning] Viewed much, bought little",
        "[resolved] Viewed much, bought little",
    ]
    assert len({mail["Message-ID"] for mail in box.mails}) == 2
    assert len({mail["References"] for mail in box.mails}) == 1
    assert "b-1: views 2,000" in str(box.mails[0].get_payload())


def _mail(box: Mailbox) -> dict[str, Any]:
    own = {"kind": "email", "host": "127.0.0.1", "port": box.port, "security": "none"}
    return {**own, "sender": "Millrace <millrace@shop.test>", "to": ["ops@shop.test"]}


def test_a_mailbox_that_is_full_is_tried_again_and_one_that_is_not_there_is_not(
    store: Store, line: Any, now: datetime
) -> None:
    with mailbox() as box:
        watch = _flash(store, now, line, destinations={"mail": _mail(box)})
        box.refusal = "452 full"
        assert watch.look() == {"put_off": 1}
        _due_now(store)
        box.refusal = "550 no such user"
        assert watch.look() == {"dropped": 1}


def test_in_quiet_hours_a_warning_waits_and_is_forgotten_when_it_is_over_by_then(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    whole_day = {"start": "00:00", "end": "23:59:59.999999"}
    rules = {**FLASH, "flash-sale": {"quiet": whole_day}}
    watch = _flash(store, now, line, rules=rules, destinations=_webhook(hook))
    assert watch.look() == {}
    assert len(_alerts(store)) == 1
    _over(store)
    assert watch.look() == {}
    (row,) = rows(store, "SELECT dropped_at, error FROM deliveries")
    assert row["error"] == "it had resolved before it was due"
    with store.transaction() as transaction:
        write_minutes(transaction, now - 20 * MINUTE, now - MINUTE, 1, {"events": 400, "views": 400})
    rules = {**FLASH, "flash-sale": {"quiet": whole_day, "severity": "critical"}}
    watch = line(rules=rules, destinations=_webhook(hook))
    assert watch.look() == {"delivered": 1}


def test_a_sender_that_was_killed_between_two_notes_sends_again_and_two_senders_do_not_send_the_same(
    store: Store, line: Any, now: datetime, hook: Receiver
) -> None:
    watch = _flash(store, now, line, destinations=_webhook(hook))
    assert watch.watcher.look() is not None
    (row,) = rows(store, "SELECT id, attempts FROM deliveries")
    assert watch.sender._claim(row)
    assert not watch.sender._claim(row)  # another one, which had read the row before
    assert watch.sender.run_once() == {}  # nobody knows yet that the first is dead
    _due_now(store)
    assert watch.sender.run_once() == {"delivered": 1}
    assert rows(store, "SELECT attempts FROM deliveries") == [{"attempts": 2}]


def _command(watch: Line, *arguments: str) -> Any:
    settings = watch.settings
    env = {
        "MILLRACE_POSTGRES_URL": settings.url.get_secret_value(),
        "MILLRACE_POSTGRES_DB_SCHEMA": settings.db_schema,
        "MILLRACE_WATCH_DESTINATIONS": json.dumps(watch.destinations),
    }
    return CliRunner().invoke(app, ["alerts", *arguments], env=env)


def test_the_command_lists_acknowledges_and_tries(store: Store, line: Any, now: datetime, hook: Receiver) -> None:
    watch = _flash(store, now, line, destinations=_webhook(hook))
    assert watch.look() == {"delivered": 1}
    (told,) = json.loads(_command(watch, "list", "--json").stdout)
    assert (told["title"], told["deliveries"][0]["delivered"]) == ("Viewed much, bought little", True)
    assert _command(watch, "ack", str(told["id"]), "--by", "me").exit_code == 0
    assert watch.look() == {"delivered": 1}
    assert "acknowledged by me" in _command(watch, "list").stdout
    _over(store)
    assert watch.look() == {"delivered": 1}
    assert [told["type"] for told in hook.got] == ["alert.opened", "alert.acknowledged", "alert.resolved"]
    assert _command(watch, "list").stdout == "No open alerts.\n"
    assert _command(watch, "ack", str(told["id"])).exit_code == 1
    assert _command(watch, "test", "ops").exit_code == 0
    assert [told["type"] for told in hook.got[3:]] == ["alert.opened", "alert.resolved"]
    hook.answers = [(404, {})]
    refused = _command(watch, "test", "ops")
    assert refused.exit_code == 1
    assert "127.0.0.1 answered 404" in refused.stderr
    assert _command(watch, "test", "nowhere").exit_code == 2
