"""A processing part of the bench's own: topics, a schema and a folder that nobody else uses, gone at the end."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import adbc_driver_postgresql.dbapi as postgres
import psutil
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.settings import KafkaSettings, PostgresSettings
from contracts.topics import ALL
from loadtest.bench_errors import BenchError

_START_SECONDS: Final = 120
_PORT: Final = 7399
"""Of the part's health server."""


@dataclass(frozen=True)
class VerbRun:
    """A verb that has ended."""

    code: int
    seconds: float
    cpu_seconds: float
    rss_mib: int
    """Its largest resident memory."""
    output: str
    errors: str


@dataclass
class Ground:
    """A place of its own in the broker and the database."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "processing.log"

    @property
    def environment(self) -> dict[str, str]:
        """By which a process of its own finds the place."""
        return os.environ | {
            "MILLRACE_HOME": str(self.folder),
            "MILLRACE_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "MILLRACE_KAFKA_TOPIC_PREFIX": self.kafka.topic_prefix,
            "MILLRACE_POSTGRES_URL": self.postgres.url.get_secret_value(),
            "MILLRACE_POSTGRES_DB_SCHEMA": self.postgres.db_schema,
            "MILLRACE_LOG_PATH": str(self.folder / "delta"),
            "MILLRACE_PROCESSING_CHECKPOINT": str(self.folder / "checkpoint"),
            "MILLRACE_PROCESSING_PORT": str(_PORT),
        }

    @contextmanager
    def processing(self, *, warm_up: bool) -> Iterator[psutil.Process]:
        """The part as a process, from its start to its end."""
        env = self.environment
        if not warm_up:
            env["MILLRACE_PROCESSING_WARM_UP_SECONDS"] = "0"
        with self.log.open("wb") as log:
            child = subprocess.Popen([sys.executable, "-m", "processing"], env=env, stdout=log, stderr=log)
            try:
                yield psutil.Process(child.pid)
            finally:
                child.terminate()
                child.wait(60)

    def run_verb(self, *words: str) -> "VerbRun":
        """Run a batch verb of processing to its end."""
        output, errors = self.folder / "verb.out", self.folder / "verb.err"
        began = time.monotonic()
        with output.open("wb") as out, errors.open("wb") as err:
            command = [sys.executable, "-m", "processing", *words]
            child = subprocess.Popen(command, env=self.environment, stdout=out, stderr=err)  # noqa: S603 - ours
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        return VerbRun(
            child.returncode,
            time.monotonic() - began,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss // 1024,
            output.read_text("utf-8"),
            errors.read_text("utf-8"),
        )

    def await_query(self, process: psutil.Process) -> None:
        """Wait until the query reads."""
        deadline = time.monotonic() + _START_SECONDS
        while not any(line.get("event") == "query_started" for line in self.lines()):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
                raise BenchError(f"processing did not start:\n{self.log.read_text('utf-8')[-2000:]}")
            time.sleep(0.1)

    def lines(self) -> list[dict[str, Any]]:
        """The part's log."""
        texts = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        return [json.loads(text) for text in texts if text.startswith("{") and text.endswith("}")]


@contextmanager
def bench_ground(kafka: KafkaSettings, store: PostgresSettings) -> Iterator[Ground]:
    """Make the place, and clear it away at the end of the block."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    own_kafka = kafka.model_copy(update={"topic_prefix": f"{name}-"})
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    topics = [own_kafka.topic_prefix + topic.name for topic in ALL]
    made = admin.create_topics(
        [
            NewTopic(own_kafka.topic_prefix + topic.name, topic.partitions, 1, config=topic.configuration())
            for topic in ALL
        ]
    )
    for future in made.values():
        future.result(30)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        own_store = store.model_copy(update={"db_schema": name})
        try:
            yield Ground(own_kafka, own_store, Path(folder))
        finally:
            for future in admin.delete_topics(topics).values():
                future.result(30)
            with postgres.connect(store.url.get_secret_value()) as connection, connection.cursor() as cursor:
                cursor.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
                connection.commit()
