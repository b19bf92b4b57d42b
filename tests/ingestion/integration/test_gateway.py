"""The gateway over HTTP before a real broker: framings, verdicts, the topic `rejected`, keys, limits, health."""

import base64
import gzip
import io
import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import fastavro
import jsonschema
import pytest
import zstandard

from contracts.metrics import GATEWAY
from ingestion.encode import make_encoder
from schemas_avro import load_registry

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
WRITE_ONLY_KEY = "mr_" + "w" * 32
OPENAPI = json.loads(Path("contracts/gateway.openapi.json").read_text("utf-8"))
REGISTRY = load_registry()


class Gateway(Protocol):
    """What these tests use of the process under test (see conftest)."""

    client: Any
    post: Callable[..., Any]
    records: Callable[[str], list[tuple[dict[str, Any], bytes | None, dict[str, bytes]]]]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def click(event_id: str, **changes: Any) -> dict[str, Any]:
    event = {"event_id": event_id, "user_id": "user_1", "session_id": "s-1", "action": "view", "timestamp": now_ms()}
    return {**event, **changes}


def purchase(transaction_id: str, **changes: Any) -> dict[str, Any]:
    event = {
        "transaction_id": transaction_id, "user_id": "user_1", "session_id": "s-1", "product_id": "p", "category": "c",
        "amount": 12.5, "quantity": 1, "timestamp": now_ms(), "payment_method": "card",
    }  # fmt: skip
    return {**event, **changes}


def confluent(event_id: str) -> bytes:
    encode = make_encoder(REGISTRY.latest("clickstream"))
    return encode(event_id, "user_1", "s-1", None, None, "view", now_ms(), None, None, None, None, {})


def conforms(answer: Any, name: str) -> None:
    jsonschema.validate(
        answer, {"$ref": f"#/components/schemas/{name}", "components": OPENAPI["components"]},
        cls=jsonschema.Draft202012Validator,
    )  # fmt: skip


def test_every_framing_and_encoding_arrives(gateway: Gateway) -> None:
    schema = REGISTRY.latest("clickstream")
    file = io.BytesIO()
    record = dict.fromkeys(("product_id", "category", "page_url", "referrer", "user_agent", "search_query"))
    fastavro.writer(file, schema.parsed, [{**record, **click("container"), "properties": {}}], codec="deflate")
    single = b"".join(
        b"\xc3\x01" + schema.crc64.to_bytes(8, "little") + confluent(name)[5:] for name in ("single-1", "single-2")
    )
    array = json.dumps([click("array-1"), purchase("array-2")]).encode()
    sent = [
        (json.dumps(click("object")).encode(), "application/json; charset=utf-8", {}),
        (array, "application/json", {}),
        (f"{json.dumps(click('line-1'))}\n\n{json.dumps(purchase('line-2'))}\n".encode(), "application/x-ndjson", {}),
        (file.getvalue(), "application/avro", {}),
        (single, "application/avro", {}),
        (confluent("confluent-1") + confluent("confluent-2"), "application/avro", {}),
        (gzip.compress(json.dumps(click("gzip")).encode()), "application/json", {"content_encoding": "gzip"}),
        (zstandard.compress(json.dumps(click("zstd")).encode()), "application/json", {"content_encoding": "zstd"}),
    ]
    for body, content_type, headers in sent:
        answer = gateway.post(body, content_type, **headers)
        assert answer.status_code == 200, answer.text
        conforms(answer.json(), "Results")
    clicks, purchases = gateway.records("clickstream"), gateway.records("transactions")
    assert {record["event_id"] for record, _, _ in clicks} == {
        "object", "array-1", "line-1", "container", "gzip", "zstd", "single-1", "single-2",
        "confluent-1", "confluent-2",
    }  # fmt: skip
    assert {record["transaction_id"] for record, _, _ in purchases} == {"array-2", "line-2"}
    assert {str(record["amount"]) for record, _, _ in purchases} == {"12.5000"}
    assert {record["currency"] for record, _, _ in purchases} == {"USD"}
    assert gateway.records("rejected") == []


def test_records_carry_key_and_headers(gateway: Gateway) -> None:
    before = now_ms()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    old = click("2F1E9A6C-8F0E-4F0B-9D5A-0C1A52C8C1DE", user_id="Zoë", timestamp="2001-02-03T04:05:06.789+01:00")
    gateway.client.post(
        "/v1/events?import=true", json=old, headers={"authorization": f"Bearer {KEY}", "traceparent": trace}
    )
    ((record, key, headers),) = gateway.records("clickstream")
    assert record["event_id"] == "2f1e9a6c-8f0e-4f0b-9d5a-0c1a52c8c1de"
    assert record["timestamp"].isoformat() == "2001-02-03T03:05:06.789000+00:00"
    assert key == "Zoë".encode()
    assert headers["source"] == b"demo"
    assert headers["import"] == b"1"
    assert headers["traceparent"] == trace.encode()
    assert before <= int(headers["received_at"]) <= now_ms()


def test_a_mixed_batch_answers_207_and_keeps_the_refused_ones_whole(gateway: Gateway) -> None:
    bad = click("bad", action="hover")
    body = b"[" + b", ".join(json.dumps(event).encode() for event in (click("good"), bad, purchase("txn"))) + b"]"
    answer = gateway.post(body, traceparent="nonsense")
    assert answer.status_code == 207
    conforms(answer.json(), "Results")
    assert answer.json()["accepted"] == 2
    assert [(r["index"], r["event_id"], r["status"]) for r in answer.json()["results"]] == [
        (0, "good", "accepted"), (1, "bad", "rejected"), (2, "txn", "accepted"),
    ]  # fmt: skip
    ((kept, _, headers),) = gateway.records("rejected")
    assert json.loads(kept["raw"]) == bad
    assert (kept["reason"], kept["pointer"], kept["event_id"]) == ("invalid_enum", "/action", "bad")
    assert (kept["source"], kept["content_type"], kept["truncated"]) == ("demo", "application/json", False)
    assert kept["traceparent"] is None
    assert headers["source"] == b"demo"


def test_a_batch_without_a_good_event_answers_422(gateway: Gateway) -> None:
    answer = gateway.post(json.dumps([click(""), {"a": 1}]))
    assert answer.status_code == 422
    assert [r["error"]["code"] for r in answer.json()["results"]] == ["invalid_id", "unknown_field"]
    assert len(gateway.records("rejected")) == 2


def test_an_unreadable_body_answers_400_and_is_kept_once(gateway: Gateway) -> None:
    for body, content_type, reason in (
        (b'[{"event_id":', "application/json", "malformed_json"),
        (confluent("e") + b"\x07", "application/avro", "malformed_avro"),
        (b"\0\0\0\0\x63abc", "application/avro", "unknown_schema"),
    ):
        answer = gateway.post(body, content_type)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        conforms(answer.json(), "Problem")
        kept, _, _ = next(r for r in gateway.records("rejected") if r[0]["reason"] == reason)
        assert kept["raw"] == body
        assert kept["detail"] == answer.json()["detail"]
    assert len(gateway.records("rejected")) == 3
    assert gateway.records("clickstream") == []


def test_what_is_kept_of_a_huge_event_is_capped(gateway: Gateway) -> None:
    answer = gateway.post(json.dumps(click("e", page_url="x" * 300_000)))
    assert answer.json()["results"][0]["error"]["code"] == "event_too_large"
    ((kept, _, _),) = gateway.records("rejected")
    assert (len(kept["raw"]), kept["truncated"]) == (64 * 1024, True)


def test_keys_are_checked_before_anything_is_read_or_kept(gateway: Gateway) -> None:
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    cases = [
        (f"Bearer {KEY}", "", 200), (f"bearer  {KEY}", "", 200), (f"Basic {basic}", "", 200),
        (f"Bearer {WRITE_ONLY_KEY}", "", 200), (f"Bearer {WRITE_ONLY_KEY}", "?import=true", 403),
        (f"Bearer {KEY}x", "", 401), ("Bearer", "", 401), (KEY, "", 401), ("Basic !!", "", 401), ("", "", 401),
        ("Bearer " + "k" * 60_000, "", 401), (f"Bearer {KEY}", "?import=yes", 400),
    ]  # fmt: skip
    for authorization, query, status in cases:
        answer = gateway.client.post(
            f"/v1/events{query}", json=click("e"), headers={"authorization": authorization} if authorization else {}
        )
        assert answer.status_code == status, authorization[:80]
        assert ("www-authenticate" in answer.headers) == (status == 401)
    assert gateway.client.post(f"/v1/events?writeKey={KEY}", json=click("e")).status_code == 401
    assert gateway.post(b"{", authorization="Bearer wrong").status_code == 401
    assert gateway.records("rejected") == []


def test_whole_request_errors_have_their_status_and_code(gateway: Gateway) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    good = json.dumps(click("e")).encode()
    cases: list[tuple[Any, int, str]] = [
        (gateway.post(good, "text/plain"), 415, "unsupported_media_type"),
        (gateway.post(good, content_encoding="br"), 415, "unsupported_encoding"),
        (gateway.post(gzip.compress(good), content_encoding="gzip, gzip"), 415, "unsupported_encoding"),
        (gateway.post(good, content_encoding="gzip"), 400, "bad_compression"),
        (gateway.post(gzip.compress(good)[:-4], content_encoding="gzip"), 400, "bad_compression"),
        (gateway.post(gzip.compress(good) + b"x", content_encoding="gzip"), 400, "bad_compression"),
        (gateway.post(bomb, content_encoding="gzip"), 413, "body_too_large"),
        (gateway.post(zstandard.compress(bytes(64 << 20)), content_encoding="zstd"), 413, "body_too_large"),
        # Answered before it is read, so the server closes: the client must not send the next one on that connection.
        (gateway.post(b" " * (5 * 1024 * 1024 + 1), connection="close"), 413, "body_too_large"),
        (gateway.post(b"[" + b"{}," * 10_000 + b"{}]"), 413, "too_many_events"),
        (gateway.post(b"[]"), 400, "empty_batch"),
        (gateway.post(b"", "application/x-ndjson"), 400, "empty_batch"),
        (gateway.client.get("/v1/events"), 405, "method_not_allowed"),
        (gateway.client.put("/v1/events", content=b""), 405, "method_not_allowed"),
        (gateway.client.get("/v1/../etc/passwd"), 404, "not_found"),
        (gateway.client.get("/%2e%2e/x%0d%0aset-cookie:a"), 404, "not_found"),
    ]
    for answer, status, code in cases:
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert "set-cookie" not in answer.headers
        conforms(answer.json(), "Problem")
    assert gateway.client.get("/v1/events").headers["allow"] == "POST, OPTIONS"


def test_a_chunked_body_is_limited_without_a_content_length(gateway: Gateway) -> None:
    head = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    good = json.dumps(click("chunked")).encode()
    assert gateway.client.post("/v1/events", content=iter([good[:9], good[9:]]), headers=head).status_code == 200
    endless = (b" " * 65536 for _ in range(200))
    assert gateway.client.post("/v1/events", content=endless, headers=head).status_code == 413


def test_a_slow_body_is_given_up(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(READ_TIMEOUT_SECONDS="0.5").started_ready()

    # By hand: an ordinary client may meet the closed connection while it writes on, before it reads the answer.
    head = f"POST /v1/events HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", gateway.client.base_url.port), timeout=20) as slow:
        slow.sendall(f"{head}Content-Length: 2\r\n\r\n{{".encode())
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
    assert gateway.post(json.dumps(click("after"))).status_code == 200


def test_keys_are_reloaded_when_their_file_changes_and_a_broken_file_changes_nothing(
    make_gateway: Callable[..., Any],
) -> None:
    gateway = make_gateway().started_ready()
    file = gateway.home / "keys.json"
    good = file.read_text()
    file.write_text("[{")
    deadline = time.monotonic() + 10
    while not any(line["event"] == "keys_not_reloaded" for line in gateway.log()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert gateway.post(json.dumps(click("e"))).status_code == 200
    file.write_text(json.dumps([key for key in json.loads(good) if key["source"] != "demo"]))
    while gateway.post(json.dumps(click("e"))).status_code != 401:
        assert time.monotonic() < deadline + 10
        time.sleep(0.1)


def test_health_metrics_and_description_are_served(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway().started_ready()
    gateway.post(json.dumps([click("a"), click("b", action="hover"), purchase("t")]))
    assert gateway.client.get("/health/ready").json() == {"ready": True}
    assert gateway.client.get("/health/live").json() == {"live": True}
    assert gateway.client.get("/openapi.json").json() == OPENAPI
    metrics = gateway.client.get("/metrics").text
    assert 'millrace_gateway_accepted_events_total{source="demo",topic="clickstream"} 1.0' in metrics
    assert 'millrace_gateway_accepted_events_total{source="demo",topic="transactions"} 1.0' in metrics
    assert 'millrace_gateway_rejected_events_total{reason="invalid_enum",source="demo"} 1.0' in metrics
    for metric in GATEWAY:
        assert f"# TYPE {metric.name} {metric.kind}" in metrics


def test_workers_share_the_port_and_add_up_their_metrics(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(WORKERS="2").started_ready()
    for n in range(40):  # a connection each, so that both workers get some
        gateway.client.post(
            "/v1/events", json=click(f"e{n}"), headers={"authorization": f"Bearer {KEY}", "connection": "close"}
        ).raise_for_status()
    assert (
        'millrace_gateway_accepted_events_total{source="demo",topic="clickstream"} 40.0'
        in gateway.client.get("/metrics").text
    )
    pids = {line["pid"] for line in gateway.log() if line["event"] == "gateway_started"}
    assert len(pids) == 2
    assert gateway.stop() == 0


def test_workers_of_a_killed_gateway_leave_the_port_to_the_next_one(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(WORKERS="2").started_ready()
    orphans = [line["pid"] for line in gateway.log() if line["event"] == "gateway_started"]
    with socket.create_connection(("127.0.0.1", gateway.port)):  # an idle client keeps nobody
        gateway.stop(signal.SIGKILL)
        gateway.started_ready()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    gateway.post(json.dumps(click("e"))).raise_for_status()


def test_a_taken_port_is_refused_by_name(make_gateway: Callable[..., Any]) -> None:
    first = make_gateway().started_ready()
    second = make_gateway(first.bootstrap, first.prefix)
    second.port = first.port
    second.spawn()
    assert second.process.wait(20) == 2
    assert any("MILLRACE_GATEWAY_PORT" in line.get("reason", "") for line in second.log())


def test_the_key_never_reaches_the_log(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(LOG_LEVEL="debug").started_ready()
    gateway.post(json.dumps(click("e")))
    gateway.post(b"{", authorization="Bearer mr_wrong_secret")
    gateway.stop()
    text = (gateway.home / "gateway.log").read_text()
    assert "request_refused" in text
    assert KEY not in text
    assert "mr_wrong_secret" not in text
