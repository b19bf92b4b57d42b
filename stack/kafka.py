"""One Kafka broker (KRaft, broker and controller in one process) and the topics of `contracts.topics`.

Durability on one machine: an acknowledged record is in the page cache of one broker. It survives the death of any
process, `kill -9` of the broker included; a power cut may lose what the kernel has not written yet. Kafka's own answer
to that is replicas, not fsync, and it is what a cluster gives.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from contracts.topics import Topic
from stack import jars
from stack.errors import PartFailedError
from stack.files import write_atomically
from stack.java import find_java
from stack.kafka_storage import format_storage, is_formatted
from stack.layout import Layout
from stack.part import Launch, Part, Report
from stack.probes import kafka_ready
from stack.settings import HOST, StackSettings

_NODE: Final = 1
_RELEASE: Final = jars.ROOTS["kafka"][0].rpartition(":")[2]

_LOGGING: Final = """\
status = warn
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = stderr
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = warn
logger.server.name = kafka.server.KafkaConfig
logger.server.level = warn
"""


def part(settings: StackSettings, layout: Layout, environ: dict[str, str], topics: Iterable[Topic]) -> Part:
    """The broker as a part of the stack; ready once the topics are there."""
    port, controller = settings.port("kafka"), settings.port("kafka-controller")
    bootstrap = f"{HOST}:{port}"
    wanted = tuple(topics)

    def prepare(report: Report) -> Launch:
        java = find_java(environ, settings.java_home)
        folder = jars.ensure("kafka", settings.cache, java, report, settings.ivy_settings)
        class_path = f"{folder}/*"
        layout.kafka.mkdir(parents=True, exist_ok=True)
        data = layout.kafka / "data"
        properties = layout.kafka / "server.properties"
        write_atomically(properties, server_properties(data, port, controller, settings.kafka_address))
        logging = layout.kafka / "log4j2.properties"
        write_atomically(logging, _LOGGING)
        if not is_formatted(data):
            report("formatting Kafka's storage")
            format_storage(data, _NODE, java.executable, class_path, settings.cache / "kafka-storage" / _RELEASE)
        return Launch(
            (
                str(java.executable),
                *(f"-Xms{settings.kafka_heap_mb}m", f"-Xmx{settings.kafka_heap_mb}m", "-XX:+UseG1GC"),
                *("-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"),
                # The first compiler only: the second costs more than it wins for minutes after a start (decision 24).
                "-XX:TieredStopAtLevel=1",
                f"-Dlog4j2.configurationFile={logging}",
                *("-cp", class_path, "kafka.Kafka", str(properties)),
            )
        )

    return Part(
        name="kafka",
        prepare=prepare,
        probe=lambda: kafka_ready(bootstrap),
        complete=lambda: create_topics(bootstrap, wanted),
        port=port,
        listeners={"kafka": port, "kafka-controller": controller},
    )


def server_properties(data: Path, port: int, controller: int, address: str) -> str:
    """The broker's configuration for a small machine; what it says of topics is in `contracts.topics`.

    `address` is where clients find it, itself included.
    """
    properties: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": _NODE,
        "controller.quorum.voters": f"{_NODE}@{HOST}:{controller}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{address}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        # Two cores: the defaults (3 and 8) only take turns.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        # One broker: a replication factor above one could never be met.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 2,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # A mistyped topic name is an error, not a new topic.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        # Small segments, so that retention frees a small disk in time; they are also preallocated nowhere.
        "log.segment.bytes": 256 * 1024 * 1024,
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def create_topics(bootstrap: str, topics: Iterable[Topic], prefix: str = "", timeout_seconds: float = 30.0) -> None:
    """Create the topics that are missing and set the configuration of those that exist; returns once all have leaders.

    `prefix` goes before each name, so that tests can share a broker. Raises PartFailedError.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = {prefix + topic.name: topic for topic in topics}
    try:
        existing = admin.list_topics(timeout=timeout_seconds).topics
        for name, topic in wanted.items():
            if name in existing:
                _configure(admin, name, topic, timeout_seconds)
        _create(admin, {name: topic for name, topic in wanted.items() if name not in existing}, timeout_seconds)
    except KafkaException as error:
        raise PartFailedError(f"The topics could not be made: {error.args[0]}") from error
    _await_leaders(admin, set(wanted), timeout_seconds)


def _create(admin: AdminClient, topics: dict[str, Topic], timeout_seconds: float) -> None:
    if not topics:
        return
    new = [
        NewTopic(name, num_partitions=topic.partitions, replication_factor=-1, config=topic.configuration())
        for name, topic in topics.items()
    ]
    for future in admin.create_topics(new, operation_timeout=timeout_seconds).values():
        try:
            future.result()
        except KafkaException as error:
            # Another process made it at the same moment; that is as good.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _configure(admin: AdminClient, name: str, topic: Topic, timeout_seconds: float) -> None:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in topic.configuration().items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource], request_timeout=timeout_seconds).values():
        future.result()


def _await_leaders(admin: AdminClient, names: set[str], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        topics = admin.list_topics(timeout=timeout_seconds).topics
        leaderless = sorted(
            name
            for name in names
            if name not in topics or any(partition.leader < 0 for partition in topics[name].partitions.values())
        )
        if not leaderless:
            return
        if time.monotonic() > deadline:
            raise PartFailedError(f"The broker found no leader for {', '.join(leaderless)}.")
        time.sleep(0.05)
