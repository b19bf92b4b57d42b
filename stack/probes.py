"""Questions asked of a running part: is it ready, and if not, why.

`python -m stack.probes URL` asks one part, for a container's health check: exit code 0 when ready, else 1 and why.
"""

import asyncio
import json
import socket
import sys
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import asyncpg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


def http_ready(url: str) -> str | None:
    """Ask a part's `/health/ready`; the reason is its JSON answer's.

    By the plainest client there is: the supervisor asks ten times a second while parts start, and another client, which
    reads all certificates first, took half a core from them.
    """
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=2.0)
    try:
        connection.request("GET", place.path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        return f"no answer yet ({type(error).__name__})"
    finally:
        connection.close()
    if answer.status in range(200, 300):
        return None
    with suppress(ValueError):
        told = json.loads(body)
        return str(told.get("reason", told)) if isinstance(told, dict) else str(told)
    return f"status {answer.status}"


def kafka_ready(bootstrap: str) -> str | None:
    """Ask the broker for its cluster; a bare connection is made first, since the client retries in silence."""
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return "the broker does not listen yet"
    try:
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
        brokers = admin.list_topics(timeout=2.0).brokers
    except KafkaException as error:
        return str(error.args[0].str() if error.args else error)
    return None if brokers else "the broker has not registered yet"


def postgres_ready(url: str) -> str | None:
    """Run one statement; the reason is the server's own message."""

    async def ask() -> None:
        connection = await asyncpg.connect(url, timeout=2.0)
        try:
            await connection.execute("SELECT 1")
        finally:
            await connection.close(timeout=1.0)

    try:
        asyncio.run(asyncio.wait_for(ask(), 4.0))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return str(error) or type(error).__name__
    return None


if __name__ == "__main__":
    if (told := http_ready(sys.argv[1])) is not None:
        sys.exit(told)
