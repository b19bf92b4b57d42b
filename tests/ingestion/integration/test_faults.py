"""What the gateway promises when something dies: no 2xx without an acknowledgement, and back without a restart."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32


def click(event_id: str) -> str:
    now = time.time_ns() // 1_000_000
    return json.dumps({"event_id": event_id, "user_id": "u", "session_id": "s", "action": "view", "timestamp": now})


class Senders:
    """Threads that send event after event, each until it is acknowledged, and remember which were."""

    def __init__(self, gateway: Any, count: int = 8) -> None:
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.statuses: set[int] = set()
        self._stop = threading.Event()
        self._url = f"http://127.0.0.1:{gateway.port}/v1/events"
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, sender: int) -> None:
        head = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        number = 0
        with httpx.Client(timeout=20) as client:
            while not self._stop.is_set():
                event_id = f"{sender}-{number}"
                self.sent.add(event_id)
                try:
                    status = client.post(self._url, content=click(event_id), headers=head).status_code
                except httpx.TransportError:
                    time.sleep(0.05)
                    continue
                self.statuses.add(status)
                if status == 200:
                    self.acknowledged.add(event_id)
                    number += 1
                else:
                    time.sleep(0.05)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def wait_until(reached: Callable[[], bool], timeout_seconds: float = 30) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not reached():
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.05)


def ids(gateway: Any) -> set[str]:
    return {record["event_id"] for record, _, _ in gateway.records("clickstream")}


def test_sigterm_under_load_loses_nothing_acknowledged_and_ends_cleanly(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway().started_ready()
    senders = Senders(gateway)
    wait_until(lambda: len(senders.acknowledged) > 200)
    started = time.monotonic()
    code = gateway.stop(signal.SIGTERM)
    took = time.monotonic() - started
    senders.stop()
    assert code == 0
    assert took < 10
    assert senders.acknowledged <= ids(gateway) <= senders.sent
    assert senders.statuses <= {200, 503}
    assert gateway.log()[-1]["event"] == "gateway_stopped"
    assert gateway.log()[-1]["unacknowledged"] == 0
    (tally,) = gateway.tallies().values()
    assert tally == {"clickstream": len(gateway.records("clickstream"))}


def test_readiness_goes_before_the_door_closes(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(DRAIN_SECONDS="2").started_ready()
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: gateway.status("/health/ready") == 503)
    assert gateway.client.get("/health/ready").json() == {"ready": False, "reason": "shutting down"}
    assert gateway.post(click("late")).status_code == 200
    assert gateway.process.wait(20) == 0
    assert ids(gateway) == {"late"}


def test_kill_9_and_restart_under_load_lose_nothing_acknowledged(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway().started_ready()
    senders = Senders(gateway)
    for _ in range(3):
        before = len(senders.acknowledged)
        wait_until(lambda before=before: len(senders.acknowledged) > before + 100)  # type: ignore[misc] # bound per turn
        gateway.stop(signal.SIGKILL)
        gateway.started_ready()
    senders.stop()
    assert senders.acknowledged <= ids(gateway) <= senders.sent


def test_a_killed_worker_is_replaced(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(WORKERS="2").started_ready()

    def pids() -> set[int]:
        return {line["pid"] for line in gateway.log() if line["event"] == "gateway_started"}

    wait_until(lambda: len(pids()) == 2)
    os.kill(min(pids()), signal.SIGKILL)
    wait_until(lambda: len(pids()) == 3)
    wait_until(lambda: gateway.status("/health/ready") == 200)
    assert gateway.stop() == 0


def test_without_a_broker_it_lives_refuses_and_serves_as_soon_as_there_is_one(
    make_gateway: Callable[..., Any], own_broker: Any, make_topics: Callable[[str, str], None]
) -> None:
    gateway = make_gateway(own_broker.bootstrap, "later-1-")
    gateway.start()
    assert gateway.status("/health/ready") == 503
    started = time.monotonic()
    answer = gateway.post(click("early"))
    assert answer.status_code == 503
    assert answer.json()["code"] == "broker_unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - started < 0.5
    own_broker.start()
    wait_until(lambda: "lacks the topic" in str(gateway.client.get("/health/ready").json().get("reason")))
    make_topics(own_broker.bootstrap, "later-1-")
    wait_until(lambda: gateway.status("/health/ready") == 200)
    assert gateway.post(click("now")).status_code == 200
    assert ids(gateway) == {"now"}


def test_a_broker_that_dies_gives_503_within_bounds_and_delivery_resumes_without_a_restart(
    make_gateway: Callable[..., Any], own_broker: Any, make_topics: Callable[[str, str], None]
) -> None:
    own_broker.start()
    make_topics(own_broker.bootstrap, "later-2-")
    gateway = make_gateway(own_broker.bootstrap, "later-2-", DELIVERY_TIMEOUT_MS="3000").started_ready()
    senders = Senders(gateway, count=4)
    wait_until(lambda: len(senders.acknowledged) > 50)
    own_broker.signal(signal.SIGKILL)
    wait_until(lambda: gateway.status("/health/ready") == 503)
    wait_until(lambda: 503 in senders.statuses)
    started = time.monotonic()
    assert gateway.post(click("refused")).status_code == 503
    assert time.monotonic() - started < 0.5
    own_broker.start()
    wait_until(lambda: gateway.status("/health/ready") == 200)
    before = len(senders.acknowledged)
    wait_until(lambda: len(senders.acknowledged) > before + 50)
    senders.stop()
    assert senders.statuses == {200, 503}
    found = [record["event_id"] for record, _, _ in gateway.records("clickstream")]
    assert senders.acknowledged <= set(found) <= senders.sent | {"refused"}


def test_a_paused_broker_gives_503_and_late_acknowledgements_do_no_harm(
    make_gateway: Callable[..., Any], own_broker: Any, make_topics: Callable[[str, str], None]
) -> None:
    own_broker.start()
    make_topics(own_broker.bootstrap, "later-3-")
    gateway = make_gateway(own_broker.bootstrap, "later-3-", DELIVERY_TIMEOUT_MS="4000").started_ready()
    own_broker.signal(signal.SIGSTOP)
    threading.Timer(1, own_broker.signal, [signal.SIGCONT]).start()
    assert gateway.post(click("slow")).status_code == 200, "a second's pause only makes it slower"
    own_broker.signal(signal.SIGSTOP)
    started = time.monotonic()
    answer = gateway.post(click("paused"))
    assert answer.status_code == 503
    assert time.monotonic() - started < 12
    own_broker.signal(signal.SIGCONT)
    wait_until(lambda: gateway.status("/health/ready") == 200)
    wait_until(lambda: gateway.post(click("paused")).status_code == 200)
    assert ids(gateway) == {"slow", "paused"}


def test_a_full_queue_gives_503_and_memory_stays_bounded(
    make_gateway: Callable[..., Any], own_broker: Any, make_topics: Callable[[str, str], None]
) -> None:
    own_broker.start()
    make_topics(own_broker.bootstrap, "later-4-")
    gateway = make_gateway(
        own_broker.bootstrap, "later-4-", DELIVERY_TIMEOUT_MS="4000", QUEUE_MESSAGES="1000", BROKER_CHECK_SECONDS="30"
    ).started_ready()  # fmt: skip
    own_broker.signal(signal.SIGSTOP)
    batch = "[" + ",".join(click(f"q{n}") for n in range(1500)) + "]"
    answer = gateway.post(batch)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    own_broker.signal(signal.SIGCONT)
    wait_until(lambda: gateway.post(click("after")).status_code == 200)
    assert "after" in ids(gateway)


def test_what_the_broker_refuses_for_good_is_told_so_counts_for_nothing_and_stands_in_nobodys_way(
    make_gateway: Callable[..., Any],
) -> None:
    """Its topic takes smaller records than the gateway thinks: sending them again would not help."""
    gateway = make_gateway().started_ready()
    small = ConfigEntry("max.message.bytes", "300", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, f"{gateway.prefix}clickstream", incremental_configs=[small])
    admin = AdminClient({"bootstrap.servers": gateway.bootstrap})
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(20)
    large = json.loads(click("large")) | {"page_url": "".join(f"/{number}" for number in range(500))}
    answer = gateway.post(json.dumps(large))
    assert (answer.status_code, answer.json()["code"]) == (500, "broker_refused")
    assert "MSG_SIZE_TOO_LARGE" in answer.json()["detail"]
    assert "retry-after" not in answer.headers
    assert gateway.post(click("small")).status_code == 200
    assert gateway.status("/health/ready") == 200
    assert ids(gateway) == {"small"}
    assert gateway.stop() == 0
    (tally,) = gateway.tallies().values()
    assert tally == {"clickstream": 1}
