"""What these tests share: one Spark for the whole run, and a store in a Postgres schema of each test's own."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession

from contracts import topics
from contracts.settings import PostgresSettings
from processing.settings import ProcessingSettings
from processing.spark import build_spark
from processing.store import Store
from stack.kafka import create_topics
from tests.conftest import execute
from tests.processing.integration.bench import Bench
from tests.processing.integration.processor import Processor, free_port
from tests.processing.integration.reader import Reader
from tests.processing.integration.traffic import Traffic


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """py4j leaves sockets to the garbage collector, which tells whichever test is running then."""
    for item in items:
        item.add_marker(
            pytest.mark.filterwarnings(
                "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
            )
        )


@pytest.fixture(scope="session")
def spark(spark_jars: Path, java_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark as processing builds it."""
    os.environ["JAVA_HOME"] = str(java_home)
    settings = ProcessingSettings(jars=spark_jars, driver_memory="1g")
    session = build_spark(settings, tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[PostgresSettings]:
    """A schema of this test's own (not there yet) in its file's database; gone after the test, see `new_database`."""
    schema = f"t{uuid.uuid4().hex}"
    yield PostgresSettings(url=SecretStr(postgres_url), db_schema=schema)
    execute(postgres_url, f'SET lock_timeout = 10000; DROP SCHEMA IF EXISTS "{schema}" CASCADE')


@pytest.fixture
def store(postgres: PostgresSettings) -> Iterator[Store]:
    """A store with its tables."""
    store = Store(postgres)
    store.create_tables()
    yield store
    store.close()


@pytest.fixture(scope="module")
def make_bench(
    kafka_bootstrap: str, postgres_url: str, spark_jars: Path, java_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Bench]]:
    """Makes processors with topics, a schema and a home of their own; `beside` another, one that reads its topics."""
    benches: list[Bench] = []

    def make(beside: Bench | None = None, **settings: str) -> Bench:
        name = f"t{uuid.uuid4().hex}"
        prefix = beside.processor.topic_prefix if beside else f"{name}-"
        if beside is None:
            create_topics(kafka_bootstrap, topics.ALL, prefix)
        postgres = PostgresSettings(url=SecretStr(postgres_url), db_schema=name)
        home = tmp_path_factory.mktemp("processor")
        processor = Processor(home, spark_jars, java_home, kafka_bootstrap, prefix, postgres, free_port(), settings)
        traffic = beside.traffic if beside else Traffic(kafka_bootstrap, prefix)
        bench = Bench(processor, traffic, Reader(postgres))
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.reader.close()
        if bench.processor.child is not None:
            bench.processor.kill()
