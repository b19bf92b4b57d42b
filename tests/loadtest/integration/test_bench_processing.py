"""The bench of processing against real parts: a small backlog is drained by a part of its own, which is gone after."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from adbc_driver_postgresql import dbapi
from confluent_kafka.admin import AdminClient

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

REPOSITORY = Path(__file__).resolve().parents[3]
RECORDS = 2000


def test_a_backlog_is_drained_and_nothing_is_left_behind(
    kafka_bootstrap: str, postgres_url: str, spark_jars: Path, java_home: Path
) -> None:
    # At this rate the shop opens with few inside; at the default it takes longer than all the rest.
    backlog = ("--backlog", str(RECORDS), "--backlog-rate", "100")
    command = [sys.executable, "-m", "loadtest", "bench", "processing", "--rate", "0", *backlog]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "JAVA_HOME": str(java_home),
        "MILLRACE_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "MILLRACE_POSTGRES_URL": postgres_url,
        "MILLRACE_PROCESSING_JARS": str(spark_jars),
        "MILLRACE_PROCESSING_DRIVER_MEMORY": "1g",
    }
    done = subprocess.run(
        [*command, "--no-batch", "--json"], env=environment, capture_output=True, text=True, timeout=190, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(done.stdout)
    drain = figures["drain"]
    assert figures.keys() == {"machine", "seed", "drain"}
    assert (drain["records"], drain["epochs"] >= 1) == (RECORDS, True)
    assert drain["records_per_second"] > 0
    assert drain["with_start_seconds"] > drain["seconds"] > 0
    assert drain["phases_total_seconds"]
    assert drain["cpu_seconds_per_million"]["processing"] > 0
    assert drain["processing_rss_mib"] > 0
    topics = AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=10).topics
    assert not [topic for topic in topics if topic.startswith("bench_")]
    with dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'bench%'")
        assert cursor.fetchall() == []
