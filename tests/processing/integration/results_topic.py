"""The results topic as whoever reads it to its end knows it, and the tables as it must have them."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import DateTime, LargeBinary, Numeric
from sqlalchemy.dialects.postgresql import ARRAY

from contracts import projections, topics
from contracts.tables import metadata
from tests.processing.integration.reader import Reader

Results: TypeAlias = dict[str, dict[tuple[Any, ...], Any]]
"""Rows by projection and key."""


def last_results(bootstrap: str, topic_prefix: str) -> Results:
    """By projection and key: the last row of each in the results topic, without those that are gone."""
    topic = topic_prefix + topics.RESULTS.name
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.partition.eof": False})
    found: Results = {table.name: {} for table in projections.ALL}
    for number in range(topics.RESULTS.partitions):
        partition = TopicPartition(topic, number, 0)
        _, end = consumer.get_watermark_offsets(partition, timeout=10)
        consumer.assign([partition])
        while partition.offset < end:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            key, value, offset = message.key(), message.value(), message.offset()
            assert key is not None
            assert offset is not None
            name, _, row_key = key.decode().partition(":")
            identity = tuple(shown(name, row_key).values())
            found[name].pop(identity, None)
            if value is not None:
                published = json.loads(value, parse_float=str)
                assert json.dumps(published["key"]) == json.dumps(json.loads(row_key))
                found[name][identity] = shown(name, json.dumps(published["row"]))
            partition.offset = offset + 1
    consumer.close()
    return found


def shown(name: str, text: str) -> dict[str, Any]:
    """A row's JSON with times and money as values: the topic spells them otherwise than Postgres does."""
    columns = metadata.tables[name].columns
    row: dict[str, Any] = json.loads(text, parse_float=Decimal)
    for column, value in row.items():
        if value is not None and isinstance(columns[column].type, DateTime):
            row[column] = datetime.fromisoformat(value)
        elif value is not None and isinstance(columns[column].type, Numeric):
            row[column] = Decimal(value)
    return row


def published_rows(reader: Reader, name: str) -> dict[tuple[Any, ...], Any]:
    """The rows of a table as the results topic must have them."""
    table = metadata.tables[name]
    columns = [
        column.name
        for column in table.columns
        if not isinstance(column.type, LargeBinary | ARRAY) and not column.name.endswith("_key")
    ]
    texts = reader.query(f"SELECT to_jsonb(t)::text AS row FROM (SELECT {', '.join(columns)} FROM {name}) t")
    rows = [shown(name, each["row"]) for each in texts]
    return {tuple(row[key.name] for key in table.primary_key): row for row in rows}
