"""A simulated flash sale is flagged, opens an alert that arrives at a local receiver, and its end arrives, too.

On a stack of its own: what other tests break on theirs opens alerts, and a rule that holds at the time of such a fault
is told as its consequence.
"""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loadtest.scenarios import DROP
from tests.e2e.conftest import end_shared, started
from tests.e2e.millrace import Millrace, iso, until
from tests.processing.receivers import Receiver, receiving, webhook_fault

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MINUTES = 38
TITLE = "Viewed much, bought little"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(webhook_fault) as found:
        yield found


@pytest.fixture
def millrace(receiver: Receiver) -> Iterator[Millrace]:
    end_shared()
    with started(receiver, upkeep_seconds=0) as stack:
        yield stack


def _told(receiver: Receiver, kind: str) -> dict[str, Any] | None:
    for told in receiver.got:
        subjects = [member["subject"] for member in told["data"]["members"]]
        if told["type"] == kind and told["data"]["key"] == "rule:flash-sale" and DROP.product_id in subjects:
            return told
    return None


def test_a_flash_sale_is_flagged_rings_and_its_end_is_told(millrace: Millrace, receiver: Receiver) -> None:
    start = datetime.now(UTC) - timedelta(minutes=MINUTES + 2)
    # Quarter of an hour of it: the beginning is in closed windows by now, the end within the rule's ten minutes.
    millrace.command(
        *("simulate", "--rate", "3", "--seconds", str(MINUTES * 60), "--seed", "8", "--speed", "0", "--import"),
        *("--start", start.replace(tzinfo=None).isoformat(timespec="seconds"), "--mix", "80/20"),
        *("--scenario", "flash-sale", "--scenario-from", str(22 * 60), "--scenario-seconds", str(15 * 60)),
    )
    opened = until(lambda: _told(receiver, "alert.opened"), 60, "the alert at the receiver")
    assert opened["data"]["title"] == TITLE

    def flagged() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = millrace.ask(
            'query($range: TimeRange!) { anomalies(range: $range, scope: SITE, metric: "views")'
            " { windowStart direction contributions { value } } }",
            {"range": {"from": iso(start + timedelta(minutes=22)), "to": iso(start + timedelta(minutes=30))}},
        )["anomalies"]
        return [flag for flag in found if flag["contributions"][0]["value"] == DROP.category] or None

    assert {flag["direction"] for flag in until(flagged, 60, "the flag")} == {"UP"}
    metrics = millrace.http.get(f"http://127.0.0.1:{millrace.base_port + 6}/metrics").text
    assert re.search(r"^millrace_watch_flag_seconds_count [1-9]", metrics, re.MULTILINE)
    (alert,) = (
        each
        for each in millrace.ask("{ alerts { id key title deliveries { notice deliveredAt } } }")["alerts"]
        if each["key"] == "rule:flash-sale"
    )
    assert str(opened["data"]["alert"]) == alert["id"]
    assert TITLE in millrace.command("alerts", "list").stdout
    status = millrace.status()
    assert status["alerts"]["warning"] >= 1
    assert status["watched"]["odd"] >= 1
    # It was bought after all, as late events tell: of no window at the end of the run the rule holds any more.
    bought = start + timedelta(minutes=MINUTES - 5)
    answer = millrace.post([_purchase(bought) for _ in range(6)])
    assert answer.status_code == 200, answer.text
    resolved = until(lambda: _told(receiver, "alert.resolved"), 90, "the notice that it is over")
    assert resolved["data"]["alert"] == opened["data"]["alert"]
    assert receiver.faults == []


def _purchase(at: datetime) -> dict[str, Any]:
    return {
        "transaction_id": f"watch-{uuid.uuid4().hex}",
        "user_id": "watch-user",
        "session_id": "watch-session",
        "product_id": DROP.product_id,
        "category": DROP.category,
        "amount": str(DROP.price),
        "quantity": 1,
        "payment_method": "card",
        "timestamp": at.isoformat(),
    }
