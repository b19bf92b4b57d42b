"""Laws of every protocol: any body gets an answer that is no fault of ours, and what was taken apart is all there."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.ingestion.door import KEY, Door

pytestmark = pytest.mark.unit

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PATHS = (
    "/v1/track", "/v1/t", "/v1/page", "/v1/i", "/v1/batch", "/v1/b", "/v1/m", "/cloudevents", TP2, "/batch/", "/e",
    "/i/v0/e/", "/i/v1/analytics/events", "/v1/events",
)  # fmt: skip
NAMES = (
    "type", "event", "messageId", "userId", "anonymousId", "timestamp", "sentAt", "context", "page", "url", "campaign",
    "name", "properties", "products", "price", "quantity", "discount", "product_id", "category", "traits", "batch",
    "specversion", "id", "source", "data", "data_base64", "time", "e", "eid", "uid", "dtm", "stm", "ue_pr", "ue_px",
    "co", "cx", "p", "ti_pr", "schema", "uuid", "distinct_id", "$session_id", "offset", "token", "$lib", "api_key",
)  # fmt: skip
WORDS = (
    "", "track", "page", "Order Completed", "Product Viewed", "user_1", "2026-03-01T12:00:00Z", "1772366400000", "pv",
    "ue", "ti", "tr", "web", "1.0", "millrace.clickstream", "millrace.transaction", "59.90", "-1", "1e400", "NaN", KEY,
    "\0", "x" * 300, '{"schema":"iglu:a/b/jsonschema/1-0-0","data":{}}', '{"data":[{}]}', "e30", "$pageview", "é",
    "iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2",
)  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=25,
)
events = st.dictionaries(st.sampled_from(NAMES), values, max_size=12) | scalars


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Door:
    return Door(tmp_path_factory.mktemp("door"), max_rejected_bytes=1024 * 1024)


def answered(door: Door, method: str, target: str, body: Any, **headers: str) -> int:
    door.broker.sent.clear()
    answer = door.send(method, target, body, authorization=f"Bearer {KEY}", **headers)
    assert answer.status < 500, answer.body
    for kept in door.records("rejected"):
        assert KEY.encode() not in kept["raw"]
    return answer.status


def taken(door: Door) -> int:
    """How many events the records stand for: the lines of an order go with the event before them."""
    alone = [line for line in door.records("transactions") if ":" not in line["transaction_id"]]
    return len(door.records("clickstream")) + len(alone) + len(door.records("rejected"))


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=25, deadline=None)
@given(body=values)
def test_any_json_is_answered(door: Door, path: str, body: Any) -> None:
    answered(door, "POST", path, body)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=20, deadline=None)
@given(body=st.binary(max_size=40) | st.lists(st.sampled_from([*'{}[]",:', "a", "1", "\\u", "-"])).map(
    lambda pieces: "".join(pieces).encode()))  # fmt: skip
@example(b"[" * 5000)
@example(b'{"a":' * 5000)
@example(b'{"batch":[' + b"[" * 900 + b"]" * 900 + b"]}")
@example(b'{"type":"track","userId":"u","event":"e","properties":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}")
def test_any_bytes_are_answered(door: Door, path: str, body: bytes) -> None:
    answered(door, "POST", path, body)


def segment(batch: list[Any]) -> Any:
    return {"batch": batch}


def snowplow(batch: list[Any]) -> Any:
    return {"data": batch}


@pytest.mark.parametrize(
    ("path", "envelope"),
    [("/v1/batch", segment), ("/batch/", segment), (TP2, snowplow)],
    ids=["segment", "posthog", "snowplow"],
)
@settings(max_examples=60, deadline=None)
@given(batch=st.lists(events, min_size=1, max_size=5))
def test_every_event_of_a_batch_is_a_record(
    door: Door, path: str, envelope: Callable[[list[Any]], Any], batch: list[Any]
) -> None:
    status = answered(door, "POST", path, envelope(batch))
    assert status == 200
    assert taken(door) == len(batch)
    for kept in door.records("rejected"):
        masked = [json.loads(json.dumps(event).replace(KEY, "[write key]")) for event in batch]
        assert json.loads(kept["raw"]) in masked
        assert kept["pointer"] == "" or kept["pointer"].startswith("/")


@settings(max_examples=50, deadline=None)
@given(batch=st.lists(events, max_size=5))
def test_every_cloud_event_has_a_verdict(door: Door, batch: list[Any]) -> None:
    status = answered(door, "POST", "/cloudevents", batch, content_type="application/cloudevents-batch+json")
    assert status in (200, 207, 422)
    assert taken(door) == len(batch)


@pytest.mark.parametrize("path", ["/i", "/ice.png", "/v1/pixel.gif", "/e", "/v1/projects/x/settings", "/health/live"])
@settings(max_examples=30, deadline=None)
@given(query=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), st.sampled_from(WORDS)).map(urlencode)
       | st.text(st.characters(codec="ascii"), max_size=30))  # fmt: skip
def test_any_query_is_answered(door: Door, path: str, query: str) -> None:
    status = answered(door, "GET", f"{path}?{query}", b"")
    if path in ("/i", "/ice.png", "/v1/pixel.gif") and status == 200:
        assert taken(door) == 1


attributes = st.sampled_from(["%", "%ff", '"', '"a\\', "%C3%A9", "1.0", "millrace.clickstream", "7"])


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "source", "type", "specversion", "time", "x"]), attributes))
def test_any_attributes_in_headers_are_answered(door: Door, said: dict[str, str]) -> None:
    headers = {f"ce_{name}": value for name, value in said.items()}
    answered(door, "POST", "/cloudevents", {"action": "view"}, **headers)
    assert taken(door) == 1
