"""The whole stack as a user drives it: the `millrace` command, HTTP to the gateway, HTTP to GraphQL, signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from confluent_kafka import Consumer, TopicPartition

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parent.parent.parent

TEST_USER = "e2e-user"
TEST_PRODUCT = "e2e-product"
"""Of the events that tests post one by one; a simulated shop has neither."""


@dataclass
class Millrace:
    """One stack in a home of its own."""

    home: Path
    base_port: int
    upkeep_seconds: int
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def command(self, *arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `millrace ...` to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "stack", *arguments],
            cwd=REPOSITORY,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `millrace ...` beside the test."""
        return subprocess.Popen(
            [sys.executable, "-m", "stack", *arguments],
            cwd=REPOSITORY,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        """`millrace status --json`."""
        answer: dict[str, Any] = json.loads(self.command("status", "--json", check=False).stdout)
        return answer

    def part(self, name: str) -> dict[str, Any]:
        """One part's line of the status."""
        return next(part for part in self.status()["parts"] if part["name"] == name)

    def kill(self, name: str) -> None:
        """kill -9 of a part's process, as the supervisor started it."""
        os.kill(int(self.part(name)["pid"]), signal.SIGKILL)

    @contextmanager
    def standing_still(self, name: str) -> Iterator[None]:
        """All processes of a part stop at once, which their keeper does not see, and go on afterwards."""
        first = psutil.Process(int(self.part(name)["pid"]))
        stopped = [first, *first.children(recursive=True)]
        try:
            for process in stopped:
                process.suspend()
            yield
        finally:
            for process in reversed(stopped):
                process.resume()

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of a GraphQL answer."""
        response = self.http.post(
            f"http://127.0.0.1:{self.base_port + 1}/graphql", json={"query": query, "variables": variables or {}}
        )
        body = response.json()
        assert response.status_code == 200, body
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    def post(self, body: Any, *, content_type: str = "application/json", **extra: Any) -> httpx.Response:
        """POST to /v1/events with the demo key."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self.write_key}",
            "Content-Type": content_type,
            **extra.pop("headers", {}),
        }
        url = f"http://127.0.0.1:{self.base_port}/v1/events"
        return self.http.post(url, content=content, headers=headers, **extra)

    @property
    def write_key(self) -> str:
        """The demo key."""
        return (self.home / "demo_key").read_text("utf-8").strip()

    def settled(self, timeout: float = 120) -> dict[str, Any]:
        """Wait until every record in Kafka is in an epoch and in Delta; returns the books."""

        def books() -> dict[str, Any] | None:
            found = self.ask(
                "{ asOf { epoch committedAt watermark } books { close residue checks { name residue }"
                " totals { records applied duplicates conflicts quarantined rejected late imported erased logRows } } }"
            )
            sums = found["books"]
            if sums is None or sums["totals"]["records"] != self.records_in_kafka():
                return None
            totals = sums["totals"]
            return found if totals["logRows"] == totals["applied"] - totals["erased"] else None

        return until(books, timeout, "the books to settle")

    def records_in_kafka(self) -> int:
        """End offsets summed, asked of the broker itself."""
        consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{self.base_port + 3}", "group.id": "e2e"})
        try:
            topics = consumer.list_topics(timeout=20).topics
            ends = (
                consumer.get_watermark_offsets(TopicPartition(name, number), timeout=20)[1]
                for name in ("clickstream", "transactions", "rejected")
                for number in topics[name].partitions
            )
            return sum(ends)
        finally:
            consumer.close()

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
        shared = {name: value for name, value in os.environ.items() if name.startswith("MILLRACE_STACK_CACHE")}
        return {
            **own,
            **shared,
            "PYTHONPATH": str(REPOSITORY),
            "MILLRACE_HOME": str(self.home),
            "MILLRACE_STACK_BASE_PORT": str(self.base_port),
            **{
                f"MILLRACE_PROCESSING_{work}_INTERVAL_SECONDS": str(self.upkeep_seconds)
                for work in ("COMPACT", "GOLD", "REPORT", "VERIFY")
            },
            "MILLRACE_PROCESSING_WARM_UP_SECONDS": "1",  # it is started five times, and nobody takes its time
        }


def until(found: Callable[[], T | None], timeout: float, what: str) -> T:
    """Ask until there is an answer. Faults of a part that is just being restarted are no answer."""
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            answer = found()
        except (httpx.TransportError, AssertionError) as error:
            last = error
        else:
            if answer is not None:
                return answer
        time.sleep(0.3)
    raise AssertionError(f"waited {timeout} s for {what}; {last or 'the answer never came'}")


def iso(instant: datetime) -> str:
    """An instant as GraphQL takes it."""
    return instant.astimezone(UTC).isoformat()
