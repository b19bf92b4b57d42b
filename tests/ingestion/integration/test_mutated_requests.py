"""Thousands of nearly right requests: each is answered, none by a 5xx, no worker dies, and the topics add up.

`MILLRACE_FUZZ_REQUESTS=200000 pytest tests/ingestion/integration/test_mutated_requests.py` is the same for long.
"""

import asyncio
import gzip
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ingestion.adapters.native import AVRO, JSON, NDJSON
from tests.ingestion.mutations import Mutator

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
REQUESTS = int(os.environ.get("MILLRACE_FUZZ_REQUESTS", "3000"))
CONNECTIONS = 16
SEED = 20_261_127


def mutated_requests(count: int) -> Iterator[bytes]:
    """Requests of all native forms, most with something wrong in the body, some in the coding or the head."""
    now_ms = time.time_ns() // 1_000_000
    mutator, dice = Mutator(SEED, now_ms), random.Random(SEED)
    before = b"{}"
    bodies = zip(mutator.avro_bodies(count), mutator.json_bodies(count), strict=True)
    for number, (avro, one) in enumerate(bodies):
        if number % 2:
            media_type, body = AVRO, avro
        else:
            media_type, body = dice.choice(
                ((JSON, one), (JSON, b"[%b,%b]" % (one, before)), (NDJSON, one + b"\n" + before))
            )
        before = one
        coding = dice.choice((b"", b"", b"", b"gzip", b"zstd", b"br"))
        if coding == b"gzip":
            body = gzip.compress(body, 1)
            if dice.random() < 0.5:
                place = dice.randrange(len(body))
                body = body[:place] + bytes((dice.randrange(256),)) + body[place + dice.randrange(2) :]
        head = f"POST /v1/events?import=true HTTP/1.1\r\nhost: g\r\ncontent-length: {len(body)}\r\n".encode()
        head += f"authorization: Bearer {KEY}\r\ncontent-type: {media_type}\r\n".encode()
        head += b"content-encoding: %b\r\n" % coding if coding else b""
        head += dice.choice((b"", b'idempotency-key: "%d"\r\n' % dice.randrange(50), b"traceparent: 00-zz\r\n"))
        yield head + b"\r\n" + body


async def send_all(port: int, requests: Iterator[bytes], told: Counter[str]) -> None:
    """Send requests one after the other over a connection, and add up what the answers say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer: dict[str, Any] = json.loads(await reader.readexactly(length))
        told[f"status {head[9:12]}"] += 1
        if "idempotency-replayed" not in head:
            told["accepted"] += answer.get("accepted", 0)
            told["rejected"] += answer.get("rejected", 0) + (answer.get("code") == "malformed_body")
    writer.close()


def test_mutated_requests_are_answered_and_the_topics_add_up(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(WORKERS="2").started_ready()
    told = Counter[str]()
    requests = mutated_requests(REQUESTS)

    async def flood() -> None:
        await asyncio.gather(*(send_all(gateway.port, requests, told) for _ in range(CONNECTIONS)))

    asyncio.run(flood())
    statuses = {name.removeprefix("status "): count for name, count in told.items() if name.startswith("status ")}
    assert sum(statuses.values()) == REQUESTS
    assert set(statuses) <= {"200", "207", "400", "409", "413", "415", "422"}, statuses
    assert min(statuses[common] for common in ("200", "207", "400", "415", "422")) > REQUESTS / 200
    assert [line for line in gateway.log() if line["event"] in ("worker_died", "request_failed")] == []
    stored = {topic: len(gateway.records(topic)) for topic in ("clickstream", "transactions", "rejected")}
    assert stored["clickstream"] + stored["transactions"] == told["accepted"] > REQUESTS / 20
    assert stored["rejected"] == told["rejected"] > REQUESTS / 20
