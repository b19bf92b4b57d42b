"""The topics as an AsyncAPI 3.0 document, made from `contracts.topics` and the registry.

`contracts/kafka.asyncapi.json` is this document; a test compares them, another compares it with a broker.
"""

from typing import Any, Final

from contracts.topics import (
    ALL,
    EVENT_TOPICS,
    HEADER_CLIENT_IP,
    HEADER_IMPORT,
    HEADER_RECEIVED_AT,
    HEADER_SOURCE,
    HEADER_TRACEPARENT,
    RESULTS,
    TALLIES,
    Topic,
)
from schemas_avro import load_registry

_AVRO: Final = "application/vnd.apache.avro;version=1.9.0"
_HEADERS: Final = {
    "type": "object",
    "required": [HEADER_SOURCE, HEADER_RECEIVED_AT],
    "properties": {
        HEADER_SOURCE: {"type": "string", "description": "Name of the write key's source."},
        HEADER_RECEIVED_AT: {
            "type": "string",
            "pattern": "^[0-9]{13}$",
            "description": "The gateway's clock when the request arrived: epoch milliseconds as ASCII digits.",
        },
        HEADER_IMPORT: {
            "type": "string",
            "const": "1",
            "description": "On events loaded with the import flag: old times are expected, never counted as late.",
        },
        HEADER_CLIENT_IP: {
            "type": "string",
            "description": "The sender's IP address, as the gateway's settings keep it: truncated, or a keyed hash.",
        },
        HEADER_TRACEPARENT: {
            "type": "string",
            "description": "The request's place in a trace (W3C Trace Context), where it had one.",
        },
    },
}
_USER_ID: Final = {"type": "string", "description": "The event's user id."}
_ROW: Final = {
    "type": "object",
    "required": ["projection", "epoch", "key", "row"],
    "properties": {
        "projection": {"type": "string", "description": "The table."},
        "epoch": {"type": "integer", "description": "The commit that changed the row."},
        "key": {"type": "object", "description": "The row's primary key by column."},
        "row": {"type": "object", "description": "All its columns, by the table's contract in contracts/tables."},
    },
}


def document() -> dict[str, Any]:
    """All topics, their messages and who sends and receives them."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Millrace: the topics",
            "version": "0.1.0",
            "description": "Values are Avro in Confluent framing (a zero byte, the schema id as four bytes, the datum),"
            f" those of {RESULTS.name} and {TALLIES.name} JSON. A record's timestamp is the broker's.",
        },
        "defaultContentType": _AVRO,
        "channels": {topic.name: _channel(topic) for topic in ALL},
        "operations": {
            f"{action}-{topic.name}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "summary": f"{who} {'writes' if action == 'send' else 'reads'} {topic.carries}.",
            }
            for topic in ALL
            for action, who in (("send", topic.writer), ("receive", topic.reader))
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"{topic.carries[0].upper()}{topic.carries[1:]}.",
        "messages": _JSON_MESSAGES[topic.name] if topic.subject is None else _avro_messages(topic, topic.subject),
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": topic.configuration().get("cleanup.policy", "delete").split(","),
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": int(topic.configuration()["max.message.bytes"]),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _avro_messages(topic: Topic, subject: str) -> dict[str, Any]:
    """A message per version: records of older ones stay in the topic. A refusal has no key."""
    return {
        f"v{schema.version}": {
            "name": f"{subject} v{schema.version}",
            "title": f"Schema id {schema.id}",
            "contentType": _AVRO,
            "headers": _HEADERS,
            "payload": {"schemaFormat": _AVRO, "schema": schema.definition},
            "bindings": {
                "kafka": {
                    **({"key": _USER_ID} if topic in EVENT_TOPICS else {}),
                    "schemaIdLocation": "payload",
                    "schemaIdPayloadEncoding": "confluent",
                    "bindingVersion": "0.5.0",
                }
            },
        }
        for schema in load_registry().schemas
        if schema.subject == subject
    }


def _row_message() -> dict[str, Any]:
    return {
        "name": "row",
        "contentType": "application/json",
        "payload": _ROW,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "`projection:key`; a null value says that the row is gone."},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _tally_message() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    return {
        "name": "tally",
        "contentType": "application/json",
        "payload": {"type": "object", "description": "Records acknowledged, by topic.", "additionalProperties": count},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "A worker's own id, another one after each start."},
                "bindingVersion": "0.5.0",
            }
        },
    }


_JSON_MESSAGES: Final = {RESULTS.name: {"row": _row_message()}, TALLIES.name: {"tally": _tally_message()}}
