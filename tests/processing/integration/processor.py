"""`python -m processing` as a process of its own, started and ended as often as a test wants."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from contracts.settings import PostgresSettings

REPOSITORY: Final = Path(__file__).resolve().parents[3]
EXIT_SECONDS: Final = 180.0


Metrics: TypeAlias = dict[str, list[tuple[dict[str, str], float]]]
"""By name: labels and value of each sample."""


def eventually(met: Callable[[], bool], what: str, seconds: float = 180.0) -> None:
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

    def start(self, failpoint: str | None = None) -> None:
        """Start it; returns at once. It ends itself at the failpoint (`processing.failpoints`)."""
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
            "MILLRACE_PROCESSING_WARM_UP_SECONDS": "0.5",  # nobody takes its time
            **{f"MILLRACE_PROCESSING_{name}": value for name, value in self.settings.items()},
            "MILLRACE_FAILPOINTS": failpoint or "",
        }
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "processing"], env=environment, stdout=output, stderr=output, cwd=self.home
            )

    def await_ready(self) -> None:
        """Wait until its health says that the query runs."""
        eventually(lambda: self.readiness()[0] == 200, f"ready: {self.log}")

    def metrics(self) -> Metrics:
        """What it tells Prometheus now."""
        told: Metrics = {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for sample in family.samples:
                    told.setdefault(sample.name, []).append((sample.labels, sample.value))
        return told

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
        try:
            code = self.child.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended: {self.log.read_text()[-3000:]}") from None
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


def free_port() -> int:
    """A port that the system gives out now; test runs beside this one get others."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
