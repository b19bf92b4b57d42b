"""What these tests share: one Spark for the whole run, and a store in a Postgres schema of each test's own."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession

from contracts.settings import PostgresSettings
from processing.settings import ProcessingSettings
from processing.spark import build_spark
from processing.store import Store


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
def postgres(postgres_url: str) -> PostgresSettings:
    """The shared database, with a schema of this test's own (not there yet)."""
    return PostgresSettings(url=SecretStr(postgres_url), db_schema=f"t{uuid.uuid4().hex}")


@pytest.fixture
def store(postgres: PostgresSettings) -> Iterator[Store]:
    """A store with its tables."""
    store = Store(postgres)
    store.create_tables()
    yield store
    store.close()
