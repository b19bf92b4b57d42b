"""The pixel: page views from pages without script."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.ingestion.door import KEY, Door

pytestmark = pytest.mark.unit


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def fetch(door: Door, *, client: str = "203.0.113.7:5000", referer: str | None = None, **said: str) -> int:
    headers = {"user_agent": "Firefox"} | ({"referer": referer} if referer else {})
    answer = door.send("GET", f"/v1/pixel.gif?{urlencode({'writeKey': KEY, **said})}", client=client, **headers)
    if answer.status == 200:
        assert answer.body[:6] == b"GIF89a"
        assert "no-store" in dict(answer.headers)["cache-control"]
    return answer.status


def test_a_picture_is_a_page_view(door: Door) -> None:
    url = "https://shop.example/a?b=c&d"
    said = {"url": url, "referrer": "https://search.example/", "title": "Füße", "product_id": "p", "category": "c"}
    ids = {"userId": "u", "anonymousId": "a", "sessionId": "s", "messageId": "m"}
    assert fetch(door, **said, **ids) == 200
    (found,) = door.records("clickstream")
    found.pop("timestamp")
    assert found == {
        "event_id": "m", "user_id": "u", "session_id": "s", "product_id": "p", "category": "c", "action": "page_view",
        "page_url": url, "referrer": "https://search.example/", "user_agent": "Firefox", "search_query": None,
        "properties": {"event_type": "pixel", "title": "Füße"},
    }  # fmt: skip


def test_without_ids_a_browser_is_a_visitor_for_a_day(door: Door) -> None:
    for client in ("203.0.113.7:1", "203.0.113.7:2", "203.0.113.8:1"):
        assert fetch(door, client=client, referer="https://shop.example/") == 200
    first, second, third = door.records("clickstream")
    assert first["user_id"] == first["session_id"] == second["user_id"] != third["user_id"]
    assert first["event_id"] != second["event_id"]
    assert first["page_url"] == "https://shop.example/"
    assert "203.0.113.7" not in str(door.broker.sent)


def test_the_key_is_checked_and_never_kept(door: Door) -> None:
    assert fetch(door, writeKey="wrong") == 401
    assert door.send("GET", "/v1/pixel.gif").status == 401
    assert door.send("POST", f"/v1/pixel.gif?writeKey={KEY}").status == 405
    assert fetch(door, userId="u" * 200, url="https://shop.example/") == 200, "a picture all the same"
    (kept,) = door.records("rejected")
    assert (kept["reason"], kept["pointer"]) == ("invalid_id", "/userId")
    assert json.loads(kept["raw"]) == {"writeKey": "[write key]", "userId": "u" * 200, "url": "https://shop.example/"}
    assert fetch(door) == 200
    assert all(KEY.encode() not in value for _, _, value, _ in door.broker.sent)


def test_looking_is_not_sending(door: Door) -> None:
    assert door.send("HEAD", f"/v1/pixel.gif?writeKey={KEY}").status == 200
    assert door.broker.sent == []
