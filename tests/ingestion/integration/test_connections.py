"""Clients that keep connections and give nothing: they are let go after a while, and others do not notice them."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
LIVE = b"GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"


@contextmanager
def connected(gateway: Any, timeout_seconds: float = 10) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout_seconds) as connection:
        yield connection


def seconds_until_closed(connection: socket.socket, dripping: bytes = b"") -> float:
    """How long the server keeps the connection, while it gets a few bytes now and then."""
    began = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - began < 10:
        try:
            if dripping:
                connection.sendall(dripping)
            if not connection.recv(4096):
                return time.monotonic() - began
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - began
    raise AssertionError("still open")


def answers_until_closed(connection: socket.socket) -> list[tuple[bytes, bytes]]:
    """Statuses and bodies of all answers until the server closes."""
    received = b""
    with suppress(ConnectionResetError):  # a way to close when something was left unread
        while piece := connection.recv(65536):
            received += piece
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answers.append((head[9:12], rest[:length]))
        received = rest[length:]
    return answers


def test_who_sends_no_head_or_a_slow_one_or_stays_idle_is_let_go(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(READ_TIMEOUT_SECONDS="1").started_ready()
    with connected(gateway) as silent, connected(gateway) as partial, connected(gateway) as idle:
        partial.sendall(b"POST /v1/events HTTP/1.1\r\nHost: g\r\n")
        idle.sendall(LIVE)
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        for connection in (silent, partial, idle):
            assert seconds_until_closed(connection) < 4
    with connected(gateway) as dripping:
        dripping.sendall(b"POST /v1/events HTTP/1.1\r\nHost: g\r\n")
        assert 0.5 < seconds_until_closed(dripping, b"a: b\r\n") < 4


def test_a_chunked_body_that_never_ends_is_given_up(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(READ_TIMEOUT_SECONDS="1").started_ready()
    head = f"POST /v1/events HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    with connected(gateway) as slow:
        slow.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        slow.settimeout(0.1)
        began, answer = time.monotonic(), b""
        while not answer and time.monotonic() - began < 10:
            slow.sendall(b"1\r\n \r\n")
            try:
                answer = slow.recv(4096)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_head_that_is_too_large_is_refused(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(MAX_HEAD_BYTES="8192").started_ready()
    for size, status in ((6000, b"200"), (20_000, b"431")):
        with connected(gateway) as client:
            client.sendall(LIVE[:-2] + b"X: " + b"x" * size + b"\r\n\r\n")
            assert client.recv(4096)[9:12] == status
    big = json.dumps([{"padding": "x" * 1000}] * 200)  # a body far larger than a head may be
    assert gateway.post(big).json()["rejected"] == 200


def test_a_thousand_idle_connections_delay_nobody(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(READ_TIMEOUT_SECONDS="30").started_ready()
    with ExitStack() as idle:
        for _ in range(1200):
            idle.enter_context(connected(gateway))
        began = time.monotonic()
        with connected(gateway) as busy:
            busy.sendall(LIVE)
            assert busy.recv(4096).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 5  # a limit in their way would be a wait of half a minute


def test_beyond_the_limit_connections_wait_and_are_served(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(MAX_CONNECTIONS="16", READ_TIMEOUT_SECONDS="2").started_ready()
    with ExitStack() as idle:
        for _ in range(20):
            idle.enter_context(connected(gateway))
        with connected(gateway, 20) as late:
            late.sendall(LIVE)
            assert late.recv(4096).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_order(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway().started_ready()
    event = {"event_id": "e", "user_id": "u", "session_id": "s", "action": "view", "timestamp": time.time_ns() // 10**6}
    body = json.dumps(event).encode()
    post = (
        f"POST /v1/events HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with connected(gateway) as client:
        client.sendall(post + LIVE + b"GET /nothing HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
        answers = b""
        while piece := client.recv(65536):
            answers += piece
    statuses = [
        answers[place + 9 : place + 12] for place in range(len(answers)) if answers.startswith(b"HTTP/1.1 ", place)
    ]
    assert statuses == [b"200", b"200", b"404"]


def test_what_servers_could_read_differently_is_refused_and_the_connection_closed(
    make_gateway: Callable[..., Any],
) -> None:
    gateway = make_gateway().started_ready()
    post = f"POST /v1/events HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n".encode()
    post += b"Content-Type: application/x-ndjson\r\n"
    chunk = b"2\r\n{}\r\n0\r\n\r\n"
    cases = {
        "both lengths: chunks count, and nothing after them": (
            post + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + LIVE, [b"422"],
        ),
        "two lengths": (post + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + LIVE, [b"400"]),
        "a list of lengths": (post + b"Content-Length: 2, 3\r\n\r\n{}" + LIVE, [b"400"]),
        "a signed length": (post + b"Content-Length: +2\r\n\r\n{}" + LIVE, [b"400"]),
        "chunked not last": (post + b"Transfer-Encoding: chunked, identity\r\n\r\n" + chunk + LIVE, [b"400"]),
        "a space before the colon": (post + b"Transfer-Encoding : chunked\r\n\r\n" + chunk + LIVE, [b"400"]),
        "a NUL in a header": (LIVE[:-2] + b"X: a\0b\r\n\r\n" + LIVE, [b"400"]),
        "a folded header": (LIVE[:-2] + b"X: a\r\n b\r\n\r\n" + LIVE, [b"400"]),
        "a bare CR in a header": (LIVE[:-2] + b"X: a\rb\r\n\r\n" + LIVE, [b"400"]),
        "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + LIVE, [b"400"]),
        "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []),
    }  # fmt: skip
    for name, (sent, statuses) in cases.items():
        with connected(gateway) as client:
            client.sendall(sent)
            assert [status for status, _ in answers_until_closed(client)] == statuses, name


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway().started_ready()
    post = f"POST /v1/events HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n".encode()
    with connected(gateway) as leaving:
        leaving.sendall(post + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        leaving.shutdown(socket.SHUT_WR)
        ((status, body),) = answers_until_closed(leaving)
    assert (status, json.loads(body)["code"]) == (b"400", "body_incomplete")
    assert gateway.records("rejected") == []
    assert [line for line in gateway.log() if line["level"] == "error"] == []


def test_a_refusal_arrives_although_the_body_was_not_wanted(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(MAX_BODY_BYTES="300000").started_ready()
    body = b"x" * 250_000
    for _ in range(20):
        assert gateway.post(body, authorization="Bearer wrong").status_code == 401
        assert gateway.client.post("/nothing", content=body).status_code == 404
        assert gateway.post(body * 3).status_code == 413
        assert gateway.client.post("/v1/events", content=iter([body])).status_code == 401
    with connected(gateway) as asking:
        asking.sendall(b"POST /nothing HTTP/1.1\r\nHost: g\r\nContent-Length: 250000\r\nExpect: 100-continue\r\n\r\n")
        assert asking.recv(4096).startswith(b"HTTP/1.1 404")
