"""`python -m processing` as a process of its own, with a shop's traffic written straight into its topics."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from contracts import topics
from contracts.settings import PostgresSettings
from tests.processing.builders import Event, framed, headers, topic_of

REPOSITORY: Final = Path(__file__).resolve().parents[3]


def eventually(met: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@dataclass
class Processor:
    """One processor's place and settings; its process is started and stopped as often as a test wants."""

    home: Path
    jars: Path
    java_home: Path
    bootstrap: str
    topic_prefix: str
    postgres: PostgresSettings
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    child: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.home / f"processing-{self.port}.log"

    @property
    def delta(self) -> Path:
        return self.home / "delta"

    def start(self) -> None:
        """Start it; returns at once."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "JAVA_HOME": str(self.java_home),
            "MILLRACE_HOME": str(self.home),
            "MILLRACE_KAFKA_BOOTSTRAP": self.bootstrap,
            "MILLRACE_KAFKA_TOPIC_PREFIX": self.topic_prefix,
            "MILLRACE_POSTGRES_URL": self.postgres.url.get_secret_value(),
            "MILLRACE_POSTGRES_DB_SCHEMA": self.postgres.db_schema,
            "MILLRACE_PROCESSING_PORT": str(self.port),
            "MILLRACE_PROCESSING_JARS": str(self.jars),
            "MILLRACE_PROCESSING_CHECKPOINT": str(self.home / f"checkpoint-{self.port}"),
            "MILLRACE_PROCESSING_DRIVER_MEMORY": "1g",
            "MILLRACE_PROCESSING_RESTART_BACKOFF_SECONDS": "0.2",
            **{f"MILLRACE_PROCESSING_{name}": value for name, value in self.settings.items()},
        }
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "processing"], env=environment, stdout=output, stderr=output, cwd=self.home
            )

    def await_ready(self) -> None:
        """Wait until its health says that the query runs."""
        eventually(lambda: self.readiness()[0] == 200, f"ready: {self.log}")

    def readiness(self) -> tuple[int, str]:
        """Status and reason of `/health/ready`; 0 while nobody answers."""
        assert self.child is None or self.child.poll() is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2) as answer:
                return 200, json.load(answer)["status"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["status"]
        except OSError:
            return 0, "no answer"

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self.end(signal.SIGTERM)

    def end(self, how: signal.Signals) -> int:
        """Send the signal and wait for the end of the process."""
        assert self.child is not None
        self.child.send_signal(how)
        return self.await_exit()

    def await_exit(self) -> int:
        """Wait for the end of the process; returns its exit code."""
        assert self.child is not None
        code = self.child.wait(60)
        self.child = None
        return code

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one kind."""
        found = []
        for line in self.log.read_text("utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                parsed = json.loads(line)
                if isinstance(parsed, dict) and parsed.get("event") == event:
                    found.append(parsed)
        return found


class Traffic:
    """Writes events to the processor's topics and remembers what they must come to."""

    def __init__(self, bootstrap: str, topic_prefix: str) -> None:
        self._prefix = topic_prefix
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True})
        self.first: dict[tuple[str, str], Event] = {}
        """The first event sent of each topic and id: what must be applied."""
        self.late: set[str] = set()
        """Ids of those among them that come after the watermark has passed them."""
        self.records = self.duplicates = self.conflicts = self.quarantined = self.rejected = self.imported = 0

    def send(self, events: Iterable[Event], *, imported: bool = False, late: bool = False) -> None:
        """Send valid events, keyed by user, so that copies of one keep their order."""
        for event in events:
            topic, event_id = topic_of(event), event.get("event_id") or event["transaction_id"]
            owner = self.first.setdefault((topic, event_id), event)
            if owner is not event:
                self.duplicates += 1
                self.conflicts += owner != event
            else:
                self.imported += imported
                if late:
                    self.late.add(event_id)
            self._produce(topic, framed(event), event["user_id"].encode(), imported=imported)

    def poison(self, topic: topics.Topic, values: Iterable[bytes | None]) -> None:
        """Send records that are no events."""
        for value in values:
            self.quarantined += 1
            self._produce(topic.name, value, None)

    def reject(self, rejections: Iterable[Event]) -> None:
        """Send what the gateway writes of refused events."""
        for rejection in rejections:
            self.rejected += 1
            self._produce(topics.REJECTED.name, framed(rejection), None)

    def flush(self) -> None:
        """Wait until the broker has all."""
        assert self._producer.flush(30) == 0

    @property
    def totals(self) -> dict[str, int]:
        """What the ledger's totals must be in the end."""
        return {
            "records": self.records,
            "applied": len(self.first),
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "rejected": self.rejected,
            "late": len(self.late),
            "imported": self.imported,
        }

    def _produce(self, topic: str, value: bytes | None, key: bytes | None, *, imported: bool = False) -> None:
        self.records += 1
        now_ms = int(time.time() * 1000)
        self._producer.produce(
            self._prefix + topic, value, key=key, headers=[*headers(now_ms, imported=imported)], on_delivery=_delivered
        )
        self._producer.poll(0)


def _delivered(error: object, _message: object) -> None:
    assert error is None, error


def free_port() -> int:
    """A port of this test's range that is free now."""
    for port in range(7390, 7400):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port from 7390 to 7399")
