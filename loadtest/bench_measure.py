"""`python -m loadtest.bench_measure`: one measurement of the gateway's bench, in a process of its own.

Reads a `Measurement` as JSON from standard input. Prints a line when the warm-up is over and the measuring begins, then
the figures as JSON. `kind` is `produce` (records straight to the broker), `empty`
(an empty route), or `json` or `avro` (events to the gateway, `batch` of them per request).
"""

import secrets
import sys
import time
from itertools import count, islice
from typing import Any, Final

import msgspec
import uvloop
from confluent_kafka import KafkaError, Producer

from contracts.topics import HEADER_RECEIVED_AT, HEADER_SOURCE
from loadtest.flood import cpu_seconds, flood, request_bytes
from loadtest.load.payloads import Pool
from loadtest.shop import Shop

Headers = list[tuple[str, str | bytes | None]]

MEASURING: Final = "measuring"
_MEDIA_TYPES: Final = {"json": "application/json", "avro": "application/avro"}
_POOL_EVENTS: Final = 2000
_EVENTS_PREPARED: Final = 20_000
"""Enough that the gateway meets no event twice in a second, and few enough to be made in a second."""
_WARM_UP_SECONDS: Final = 1.0


class Measurement(msgspec.Struct, frozen=True):
    """What to do."""

    kind: str
    seconds: float
    url: str = ""
    key: str = ""
    connections: int = 64
    batch: int = 1
    topic: str = ""
    producer: dict[str, Any] = {}
    """librdkafka's settings."""


def measure(told: Measurement) -> dict[str, Any]:
    """Run one measurement, after a warm-up that does not count. `events` includes those of the warm-up."""
    if told.kind == "produce":
        return _produce(told)
    return uvloop.run(_request(told))


async def _request(told: Measurement) -> dict[str, Any]:
    requests = [request_bytes(f"{told.url}/health/live", "GET", {})] if told.kind == "empty" else _posts(told)
    warm_up = await flood(told.url, requests, told.connections, _WARM_UP_SECONDS)
    print(MEASURING, flush=True)
    result = await flood(told.url, requests, told.connections, told.seconds)
    per_request = 0 if told.kind == "empty" else told.batch
    figures = {**result.figures(), "seconds": round(result.seconds, 3), "events": result.statuses[200] * per_request}
    figures["warm_up_events"] = warm_up.statuses[200] * per_request
    return figures


def _posts(told: Measurement) -> list[bytes]:
    pool = Pool((e.stamped(0) for e in islice(Shop(1).events(50), _POOL_EVENTS)), secrets.token_hex(4))
    make = pool.json if told.kind == "json" else pool.avro
    headers = {"authorization": f"Bearer {told.key}", "content-type": _MEDIA_TYPES[told.kind]}
    now_ms = time.time_ns() // 1_000_000
    return [
        request_bytes(f"{told.url}/v1/events", "POST", headers, make(told.batch, now_ms))
        for _ in range(max(told.connections, _EVENTS_PREPARED // told.batch))
    ]


def _produce(told: Measurement) -> dict[str, Any]:
    """Records like the gateway's, as fast as the client library takes them and the broker acknowledges them."""
    pool = Pool((e.stamped(0) for e in islice(Shop(1).events(50), _POOL_EVENTS)), secrets.token_hex(4))
    now_ms = time.time_ns() // 1_000_000
    values = [pool.avro(1, now_ms) for _ in range(_EVENTS_PREPARED)]
    headers: Headers = [(HEADER_SOURCE, b"bench"), (HEADER_RECEIVED_AT, str(now_ms).encode())]
    failed: list[KafkaError] = []
    producer = Producer({**told.producer, "error_cb": failed.append})
    warm = _loop(producer, told.topic, values, headers, _WARM_UP_SECONDS)
    print(MEASURING, flush=True)
    started, cpu = time.perf_counter(), cpu_seconds()
    records = _loop(producer, told.topic, values, headers, told.seconds)
    seconds, used = time.perf_counter() - started, cpu_seconds() - cpu
    if failed:
        raise RuntimeError(f"the broker: {failed[0].str()}")
    return {
        "events": records,
        "warm_up_events": warm,
        "seconds": round(seconds, 3),
        "client_cores": round(used / seconds, 2),
    }


def _loop(producer: Producer, topic: str, values: list[bytes], headers: Headers, seconds: float) -> int:
    """Records acknowledged; the time that the last acknowledgement takes is the caller's to count."""
    ends, sent = time.perf_counter() + seconds, 0
    for number in count():
        key = b"user_%d" % (number % 1000)
        try:
            producer.produce(topic, values[number % len(values)], key, headers=headers)
            sent += 1
        except BufferError:
            producer.poll(0.01)
        if number % 500 == 0:
            producer.poll(0)
            if time.perf_counter() > ends:
                break
    if left := producer.flush(60):
        raise RuntimeError(f"{left} records were not acknowledged")
    return sent


if __name__ == "__main__":
    sys.stdout.write(
        msgspec.json.encode(measure(msgspec.json.decode(sys.stdin.buffer.read(), type=Measurement))).decode()
    )
