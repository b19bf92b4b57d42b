"""A posted event reaches who subscribes, and what was told before a late one is told again afterwards."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.millrace import TEST_PRODUCT, TEST_USER, Millrace, iso, until
from tests.e2e.seeded_run import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LIVE = "subscription { realtime { asOf { epoch } series { minute views } } }"
HOUR = timedelta(hours=1)
NUMBERS = """query ($range: TimeRange!, $epoch: Long) {
  asOf { epoch }
  productMetrics(range: $range, window: "PT5M", asOf: $epoch) { windowStart productId category isFinal revision views
    purchases units revenue uniqueUsers uniqueBuyers }
  revenue(range: $range, asOf: $epoch) { windowStart category isFinal revision count total average }
  sales(range: $range, grain: HOUR, timeZone: "UTC", asOf: $epoch) { windowStart isFinal revision orders revenue
    uniqueCustomers }
  topProducts(range: $range, by: VIEWS, asOf: $epoch) { rank productId categories views purchases revenue }
  conversions(range: $range, asOf: $epoch) { windowStart productId isFinal revision clicks convertedClicks purchases }
  }"""
CHANGES = """query ($range: TimeRange!, $since: Long!) { changes(range: $range, since: $since) {
  added { events lateEvents views purchases revenue } events { nodes { eventId epoch late } } } }"""


async def test_a_posted_event_is_told_to_who_subscribes_over_a_web_socket(run: Run, millrace: Millrace) -> None:
    url = f"ws://127.0.0.1:{millrace.base_port + 1}/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket, asyncio.timeout(90):
        await socket.send(json.dumps({"type": "connection_init"}))
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": LIVE}}))
        at = datetime.now(UTC)
        event = _event(at, action="view")
        before = await _views(socket, event)
        posted = await asyncio.to_thread(millrace.post, event)
        assert posted.status_code == 200
        while await _views(socket, event) <= before:
            pass


def test_what_was_told_is_told_again_when_late_events_have_changed_it(run: Run, millrace: Millrace) -> None:
    """The run has moved the watermark in every partition: what is of days ago is late."""
    start = (datetime.now(UTC) - timedelta(days=5)).replace(minute=0, second=0, microsecond=0)
    window = {"from": iso(start), "to": iso(start + HOUR)}
    seen = _event(start)
    click = {**_event(start, action="click"), "user_id": seen["user_id"]}  # of one partition, and before the view in it
    assert millrace.post([click, seen, _sale(start, "10.50")]).status_code == 200
    then = until(lambda: _numbers(millrace, window), 60, "both to be told")
    epoch = then.pop("asOf")["epoch"]
    bought = {**_sale(start + timedelta(minutes=7), "99.9900"), "user_id": seen["user_id"]}
    late = [_event(start + timedelta(minutes=2)), bought, _event(start)]
    assert millrace.post(late).status_code == 200

    changes = _changes(millrace, window, epoch, 3)
    now, again = (millrace.ask(NUMBERS, {"range": window, "epoch": asked}) for asked in (None, epoch))
    del now["asOf"], again["asOf"]
    assert again == then
    assert all(now[root] != then[root] for root in then)
    assert [row["convertedClicks"] for row in (*then["conversions"], *now["conversions"])] == [0, 1]
    assert changes["added"] == {"events": 3, "lateEvents": 3, "views": 2, "purchases": 1, "revenue": "99.99"}
    named = {event.get("event_id") or event["transaction_id"] for event in late}
    assert {node["eventId"] for node in changes["events"]["nodes"]} == named
    assert all(node["late"] and node["epoch"] > epoch for node in changes["events"]["nodes"])


def _numbers(millrace: Millrace, window: dict[str, str]) -> dict[str, Any] | None:
    found = millrace.ask(NUMBERS, {"range": window})
    return found if sum(row["views"] + row["purchases"] for row in found["productMetrics"]) == 2 else None


def _changes(millrace: Millrace, window: dict[str, str], since: int, events: int) -> dict[str, Any]:
    """What came into the window after an epoch, once the event log has so many events of it."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = millrace.ask(CHANGES, {"range": window, "since": since})["changes"]
        return found if found["added"]["events"] >= events else None

    return until(look, 120, f"{events} events in the log")


async def _views(socket: ClientConnection, event: dict[str, Any]) -> int:
    """Views in the event's minute, as the next message of the subscription tells."""
    message: dict[str, Any] = {}
    while message.get("type") != "next":
        message = json.loads(await socket.recv())
        if message["type"] == "ping":
            await socket.send('{"type":"pong"}')
    realtime = message["payload"]["data"]["realtime"]
    minute = datetime.fromisoformat(event["timestamp"]).replace(second=0, microsecond=0)
    series = realtime["series"] if realtime is not None else []
    return sum(point["views"] for point in series if datetime.fromisoformat(point["minute"]) == minute)


def _event(at: datetime, **fields: Any) -> dict[str, Any]:
    return {"event_id": uuid.uuid4().hex, "action": "view", **_common(at), **fields}


def _sale(at: datetime, amount: str) -> dict[str, Any]:
    sale = {"transaction_id": uuid.uuid4().hex, "amount": amount, "quantity": 1, "payment_method": "card"}
    return {**sale, **_common(at)}


def _common(at: datetime) -> dict[str, Any]:
    user = f"{TEST_USER}-{uuid.uuid4().hex[:8]}"
    return {
        "user_id": user,
        "session_id": f"of-{user}",
        "product_id": TEST_PRODUCT,
        "category": "e2e",
        "timestamp": at.isoformat(),
    }
