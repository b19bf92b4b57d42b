"""The broker and the database themselves, as every other integration test relies on them."""

import uuid
from pathlib import Path

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from contracts import topics
from stack.kafka import create_topics

pytestmark = pytest.mark.integration


def test_topics_are_created_as_the_contract_says_and_a_second_time_changes_nothing(kafka_bootstrap: str) -> None:
    prefix = f"t{uuid.uuid4().hex}-"
    for _ in range(2):
        create_topics(kafka_bootstrap, topics.ALL, prefix)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    known = admin.list_topics(timeout=5).topics
    for topic in topics.ALL:
        assert len(known[prefix + topic.name].partitions) == topic.partitions
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, prefix + topic.name)]).values()
        configuration = {key: entry.value for key, entry in described.result().items()}
        assert topic.configuration().items() <= configuration.items()


async def test_the_database_is_there_on_postgres_18_with_durable_commits(postgres_server: str) -> None:
    connection = await asyncpg.connect(postgres_server)
    try:
        assert await connection.fetchval("SHOW server_version_num") >= "180000"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert await connection.fetchval("SELECT current_database()") == "millrace"
    finally:
        await connection.close()


def test_the_folder_of_spark_jars_holds_delta_kafka_and_avro_once_each(spark_jars: Path) -> None:
    names = sorted(path.name for path in spark_jars.glob("*.jar"))
    for wanted in ("delta-spark_4.1_2.13", "spark-sql-kafka-0-10_2.13", "spark-avro_2.13", "kafka-clients"):
        assert len([name for name in names if name.startswith(wanted)]) == 1
