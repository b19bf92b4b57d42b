"""Contracts held against a stack that runs: its broker, its database, its Delta tables, and what consumers expect."""

import json
from collections import Counter
from typing import Any

import pytest
from adbc_driver_postgresql import dbapi
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from deltalake import DeltaTable

from contracts.__main__ import FOLDER
from processing.delta_contracts import physical_type
from tests import consumers
from tests.e2e.millrace import REPOSITORY, Millrace
from tests.e2e.seeded_run import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DOCUMENT: dict[str, Any] = json.loads((REPOSITORY / "contracts/kafka.asyncapi.json").read_text("utf-8"))


def _reach(millrace: Millrace) -> dict[str, str]:
    told: dict[str, str] = json.loads(millrace.command("env", "--json").stdout)
    return told


def test_the_broker_has_the_topics_as_they_are_described(millrace: Millrace) -> None:
    admin = AdminClient({"bootstrap.servers": _reach(millrace)["MILLRACE_KAFKA_BOOTSTRAP"]})
    topics = admin.list_topics(timeout=20).topics
    assert {name for name in topics if not name.startswith("__")} == set(DOCUMENT["channels"])
    resources = {name: ConfigResource(ResourceType.TOPIC, name) for name in DOCUMENT["channels"]}
    configured = admin.describe_configs(list(resources.values()))
    for name, channel in DOCUMENT["channels"].items():
        described = channel["bindings"]["kafka"]
        held = configured[resources[name]].result(20)
        assert len(topics[name].partitions) == described["partitions"]
        for key, value in described["topicConfiguration"].items():
            wanted = set(value) if isinstance(value, list) else {str(value)}
            assert set(held[key].value.split(",")) == wanted, (name, key)


def test_the_database_has_the_tables_as_their_contracts_say(millrace: Millrace) -> None:
    with dbapi.connect(_reach(millrace)["MILLRACE_POSTGRES_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname::text AS relation, a.attname::text AS name, a.attnotnull AS required,"
            " format_type(a.atttypid, a.atttypmod) AS type, array_position(k.conkey, a.attnum) AS key"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0"
            " AND NOT a.attisdropped AND NOT c.relispartition"
        )
        rows = cursor.fetch_arrow_table().to_pylist()
    held: dict[str, set[tuple[str, str, bool, int | None]]] = {}
    for row in rows:
        held.setdefault(row["relation"], set()).add((row["name"], row["type"], row["required"], row["key"]))
    contracts = {}
    for path in (FOLDER / "tables_odcs").iterdir():
        (described,) = json.loads(path.read_text("utf-8"))["schema"]
        contracts[described["physicalName"]] = {
            (each["name"], each["physicalType"], each["required"], each.get("primaryKeyPosition"))
            for each in described["properties"]
        }
    assert contracts.keys() <= held.keys()
    assert {name: held[name] for name in contracts} == contracts


def test_the_delta_tables_are_as_their_contracts_say(millrace: Millrace) -> None:
    """The event log, and those of gold that have had something to tell yet."""
    found = set()
    for path in (FOLDER / "delta_odcs").iterdir():
        (described,) = json.loads(path.read_text("utf-8"))["schema"]
        place = millrace.home / "delta" / described["physicalName"]
        if not DeltaTable.is_deltatable(str(place)):
            continue
        table = DeltaTable(str(place))
        fields = [(each.name, physical_type(each), each.nullable) for each in table.schema().fields]
        assert fields == [
            (each["name"], each["physicalType"], not each["required"]) for each in described["properties"]
        ], place
        partitions = [each["name"] for each in described["properties"] if each.get("partitioned")]
        assert table.metadata().partition_columns == partitions
        rules = {f"delta.constraints.{each['name']}" for each in described["quality"]}
        assert rules <= table.metadata().configuration.keys()
        found.add(described["physicalName"])
    assert "events" in found


def test_consumers_are_answered_what_they_expect(run: Run) -> None:
    """Of the hour in which most of the run's events are."""
    hours = Counter(fact.at.replace(minute=0, second=0, microsecond=0) for fact in run.oracle.facts)
    ((hour, _),) = hours.most_common(1)
    found = consumers.faults(run.millrace.ask, hour)
    assert len(found) == 6
    assert {name: faults for name, faults in found.items() if faults} == {}
