"""Snowplow's tracker protocol: what its events become, in a body or in the address of a picture."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.ingestion.door import KEY, Door, now_ms

pytestmark = pytest.mark.unit

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
OWN = "com.snowplowanalytics.snowplow"
SHOE = {"id": "p-1", "category": "shoes", "price": 59.9, "quantity": 2, "currency": "USD"}
HAT = {"id": "p-2", "category": "hats", "price": 10.05}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def event(**changes: Any) -> dict[str, Any]:
    said = {
        "e": "pv", "aid": KEY, "p": "web", "tv": "js-4", "eid": "2f1e9a6c-8f0e-4f0b-9d5a-0c1a52c8c1de", "uid": "u",
        "duid": "d", "sid": "s", "dtm": str(now_ms()), "stm": str(now_ms()), "url": "https://shop.example/a",
        "refr": "https://search.example/", "page": "Shop", "ua": "Firefox",
    }  # fmt: skip
    return {name: value for name, value in {**said, **changes}.items() if value is not ...}


def iglu(name: str, data: Any, vendor: str = OWN) -> dict[str, Any]:
    return {"schema": f"iglu:{vendor}/{name}/jsonschema/1-0-0", "data": data}


def described(name: str, data: Any, vendor: str = OWN) -> dict[str, Any]:
    return {"e": "ue", "ue_pr": json.dumps(iglu("unstruct_event", iglu(name, data, vendor)))}


def entities(*named: dict[str, Any]) -> dict[str, str]:
    return {"co": json.dumps(iglu("contexts", list(named)))}


def shop(kind: str, *named: dict[str, Any]) -> dict[str, Any]:
    vendor = f"{OWN}.ecommerce"
    return {**described("snowplow_ecommerce_action", {"type": kind, "name": "n"}, vendor), **entities(*named)}


def send(door: Door, *events: Any, **headers: str) -> Any:
    return door.send("POST", TP2, {"schema": PAYLOAD, "data": list(events)}, **headers)


def one(door: Door, **changes: Any) -> dict[str, Any]:
    """The clickstream event that an event becomes."""
    answer = send(door, event(**changes))
    assert (answer.status, answer.body) == (200, b"ok")
    assert door.records("rejected") == []
    return door.records("clickstream")[-1]


def test_a_page_view_keeps_everything_it_says(door: Door) -> None:
    said = event()
    found = one(door, **said)
    assert found.pop("timestamp").timestamp() * 1000 == pytest.approx(int(said["dtm"]))
    assert found == {
        "event_id": said["eid"], "user_id": "u", "session_id": "s", "product_id": None, "category": None,
        "action": "page_view", "page_url": "https://shop.example/a", "referrer": "https://search.example/",
        "user_agent": "Firefox", "search_query": None,
        "properties": {"event_type": "page_view", "page_title": "Shop", "platform": "web"},
    }  # fmt: skip
    assert KEY.encode() not in b"".join(value for _, _, value, _ in door.broker.sent)


@pytest.mark.parametrize(
    ("changes", "action", "properties"),
    [
        ({"e": "pp", "pp_miy": "0", "pp_may": "900"}, "scroll",
         {"event_type": "page_ping", "pp_yoffset_min": "0", "pp_yoffset_max": "900"}),
        ({"e": "se", "se_ca": "shop", "se_ac": "zoom", "se_la": "l", "se_pr": "p", "se_va": "1.5"}, "other",
         {"event_type": "struct", "event": "zoom", "se_category": "shop", "se_label": "l", "se_property": "p",
          "se_value": "1.5"}),
        ({"e": "tr", "tr_id": "o", "tr_tt": "9.99", "tr_cu": "USD"}, "other",
         {"event_type": "transaction", "tr_orderid": "o", "tr_total": "9.99", "tr_currency": "USD"}),
        (described("link_click", {"targetUrl": "/x"}), "click", {"event": "link_click", "targetUrl": "/x"}),
        (described("screen_view", {"name": "Cart"}, "com.snowplowanalytics.mobile"), "page_view",
         {"event": "screen_view", "name": "Cart"}),
        (described("link_click", {}, "com.example"), "other", {"event": "link_click"}),
        (described("hover", {"a": {"b": 1.5}}, "com.example"), "other", {"event": "hover", "a.b": "1.5"}),
        (entities(iglu("web_page", {"id": "w"}), iglu("tag", {"t": 1}), iglu("tag", {"t": 2})), "page_view",
         {"web_page.id": "w", "tag.0.t": "1", "tag.1.t": "2"}),
    ],
)  # fmt: skip
def test_a_kind_of_event_is_an_action(door: Door, changes: Any, action: str, properties: dict[str, str]) -> None:
    found = one(door, **changes)
    assert found["action"] == action
    assert properties.items() <= found["properties"].items()


def test_older_shop_events_are_about_a_product(door: Door) -> None:
    added = one(door, **described("add_to_cart", {"sku": "p-1", "category": "shoes", "quantity": 1}))
    assert (added["action"], added["product_id"], added["category"]) == ("add_to_cart", "p-1", "shoes")
    assert one(door, **described("remove_from_cart", {"sku": 7}))["product_id"] == "7"
    found = one(door, **described("site_search", {"terms": ["blue", "shoes"]}))
    assert (found["action"], found["search_query"]) == ("search", "blue shoes")


@pytest.mark.parametrize(
    ("kind", "named", "action"),
    [
        ("product_view", [iglu("product", SHOE)], "view"), ("list_view", [], "view"),
        ("list_click", [iglu("product", SHOE)], "click"), ("promo_view", [], "other"), ("promo_click", [], "click"),
        ("add_to_cart", [iglu("product", SHOE)], "add_to_cart"), ("remove_from_cart", [], "remove_from_cart"),
        ("checkout_step", [iglu("checkout_step", {"step": 1})], "checkout_start"),
        ("checkout_step", [iglu("checkout_step", {"step": 2})], "other"), ("checkout_step", [], "other"),
        ("trns_error", [], "other"), ("new_one", [], "other"),
    ],
)  # fmt: skip
def test_an_ecommerce_action_is_told_by_its_type(door: Door, kind: str, named: Any, action: str) -> None:
    found = one(door, **shop(kind, *named))
    assert (found["action"], found["properties"]["event"]) == (action, kind)
    assert (found["product_id"], found["category"]) == (
        ("p-1", "shoes") if SHOE in [n["data"] for n in named] else (None, None)
    )


@pytest.mark.parametrize(
    ("kind", "order", "amounts"),
    [
        ("transaction", {"transaction_id": "o", "currency": "USD", "payment_method": "card"}, ["119.8", "10.05"]),
        ("transaction", {"transaction_id": "o", "discount_amount": 10, "revenue": 119.85}, ["110.57", "9.28"]),
        ("transaction", {"transaction_id": "o", "discount_amount": 10, "revenue": 129.85}, ["119.8", "10.05"]),
        ("refund", {"transaction_id": "o", "currency": "USD"}, ["119.8", "10.05"]),
        ("refund", {"transaction_id": "o", "refund_amount": 129.85}, ["119.8", "10.05"]),
        ("refund", {"transaction_id": "o", "refund_amount": 119.85}, ["110.57", "9.28"]),
        ("refund", {"transaction_id": "o", "refund_amount": "150"}, ["119.8", "10.05"]),
    ],
)
def test_an_order_has_a_line_per_product(door: Door, kind: str, order: dict[str, Any], amounts: list[str]) -> None:
    found = one(door, **shop(kind, iglu(kind, order), iglu("product", SHOE), iglu("product", HAT)))
    assert (found["action"], found["properties"][f"{kind}.transaction_id"]) == ("other", "o")
    lines = door.records("transactions")
    assert [str(line["amount"].normalize()) for line in lines] == amounts
    assert [line["transaction_id"] for line in lines] == [f"{found['event_id']}:{n}" for n in range(2)]
    assert {line["kind"] for line in lines} == {"purchase" if kind == "transaction" else "refund"}
    assert {line["order_id"] for line in lines} == {"o"}
    assert {line["payment_method"] for line in lines} == {order.get("payment_method", "unknown")}


def test_an_item_of_the_older_way_is_a_line_by_itself(door: Door) -> None:
    item = {"e": "ti", "ti_id": "o", "ti_sk": "p-1", "ti_ca": "shoes", "ti_pr": "59.90", "ti_qu": "2", "ti_cu": "USD"}
    send(door, event(**item))
    (line,) = door.records("transactions")
    assert line["transaction_id"] == event()["eid"]
    assert (line["order_id"], line["product_id"], str(line["amount"])) == ("o", "p-1", "119.8000")


@pytest.mark.parametrize(
    ("changes", "user", "session"),
    [
        ({}, "u", "s"), ({"uid": ...}, "d", "s"), ({"uid": "", "duid": ..., "tnuid": "n", "sid": ...}, "n", "n"),
        ({"uid": ..., "duid": ..., "sid": ..., **entities(iglu("client_session", {"userId": "cu", "sessionId": "cs"}))},
         "cu", "cs"),
    ],
)  # fmt: skip
def test_who_it_was(door: Door, changes: dict[str, Any], user: str, session: str) -> None:
    found = one(door, **changes)
    assert (found["user_id"], found["session_id"]) == (user, session)


def test_a_page_that_knows_no_visitor_gets_one_for_the_day(door: Door) -> None:
    unknown = event(uid=..., duid=..., sid=..., ua=...)
    agent = {"user_agent": "Firefox"}
    send(door, unknown, **agent)
    send(door, unknown, **agent)
    send(door, unknown, user_agent="Chrome")
    door.send("POST", TP2, {"data": [unknown]}, client="203.0.113.8:1", **agent)
    users = [found["user_id"] for found in door.records("clickstream")]
    assert users[0] == users[1]
    assert len(set(users)) == 3
    assert all(user.startswith("anon-") and len(user) == 27 for user in users)
    assert [found["session_id"] for found in door.records("clickstream")] == users
    assert door.records("clickstream")[0]["user_agent"] == "Firefox"


def test_an_anonymous_page_leaves_nothing_of_its_address(door: Door) -> None:
    unknown = event(uid=..., duid=..., sid=...)
    send(door, unknown)
    send(door, unknown, sp_anonymous="*")
    send(door, unknown, sp_anonymous="*")
    assert [headers.get("client_ip") for _, _, _, headers in door.broker.sent] == [b"203.0.113.0", None, None]
    assert len({found["user_id"] for found in door.records("clickstream")}) == 3


def test_a_servers_name_is_nobodys_browser(door: Door) -> None:
    send(door, event(p="srv", ua=...), user_agent="python-requests/2")
    assert door.records("clickstream")[0]["user_agent"] is None
    send(door, event(p="srv", uid=..., duid=...), user_agent="python-requests/2")
    assert (door.records("rejected")[0]["reason"], door.records("rejected")[0]["pointer"]) == ("missing_field", "/uid")


@pytest.mark.parametrize(
    ("changes", "ahead"),
    [
        ({"dtm": 0, "stm": 900}, 0), ({"dtm": 3_600_000, "stm": 3_600_500}, -500), ({"dtm": -5000, "stm": ...}, -5000),
        ({"dtm": 3_600_000, "stm": 3_600_500, "ttm": -7000}, -7000), ({"dtm": ..., "stm": 3_600_500}, 0),
    ],
)  # fmt: skip
def test_when_it_was(door: Door, changes: dict[str, Any], ahead: int) -> None:
    now = now_ms()
    found = one(door, **{name: at if at is ... else str(now + at) for name, at in changes.items()})
    assert found["timestamp"].timestamp() * 1000 - now == pytest.approx(ahead, abs=200)


@pytest.mark.parametrize("pad", ["=", ""])
def test_json_may_come_in_base64(door: Door, pad: str) -> None:
    def coded(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=" if not pad else "")

    plain = described("link_click", {"targetUrl": "/ü?>"}) | entities(iglu("web_page", {"id": "wé"}))
    found = one(door, e="ue", ue_px=coded(plain["ue_pr"]), cx=coded(plain["co"]))
    assert (found["properties"]["targetUrl"], found["properties"]["web_page.id"]) == ("/ü?>", "wé")


@pytest.mark.parametrize("path", ["/i", "/ice.png"])
def test_a_picture_brings_an_event(door: Door, path: str) -> None:
    said = event(e="se", se_ac="zoom", page="Füße")
    answer = door.send("GET", f"{path}?{urlencode(said)}")
    assert answer.status == 200
    assert answer.body.startswith(b"GIF89a")
    told = dict(answer.headers)
    assert (told["content-type"], told["cross-origin-resource-policy"]) == ("image/gif", "cross-origin")
    assert told["cache-control"] == "no-cache, no-store, must-revalidate"
    (found,) = door.records("clickstream")
    assert (found["properties"]["event"], found["properties"]["page_title"]) == ("zoom", "Füße")
    door.send("GET", f"{path}?{urlencode(event(e='xx'))}")
    (kept,) = door.records("rejected")
    assert json.loads(kept["raw"]) == {**event(e="xx"), "aid": "[write key]", "dtm": ANY, "stm": ANY}
    head = door.send("HEAD", f"{path}?{urlencode(said)}")
    assert head.status == 200
    assert len(door.broker.sent) == 2, "looking is not sending"


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


ANY = _Any()


@pytest.mark.parametrize(
    ("changes", "reason", "pointer"),
    [
        ({"e": "xx"}, "unknown_type", "/e"), ({"e": ...}, "unknown_type", "/e"), ({"e": ["pv"]}, "wrong_type", "/e"),
        ({"eid": "e" * 200}, "invalid_id", "/eid"), ({"uid": "u" * 200}, "invalid_id", "/uid"),
        ({"dtm": "soon"}, "invalid_timestamp", "/dtm"), ({"ttm": "soon"}, "invalid_timestamp", "/ttm"),
        ({"dtm": "1"}, "timestamp_too_old", "/dtm"), ({"url": "x" * 9000}, "invalid_text", "/url"),
        ({"e": "ue"}, "missing_field", "/ue_pr"), ({"e": "ue", "ue_pr": "{"}, "malformed_json", "/ue_pr"),
        ({"e": "ue", "ue_px": "!!"}, "wrong_type", "/ue_px"), ({"e": "ue", "ue_pr": "{}"}, "wrong_type", "/ue_pr"),
        ({"e": "ue", "ue_px": "é"}, "wrong_type", "/ue_px"),
        ({"co": "{"}, "malformed_json", "/co"), ({"co": '{"data":{}}'}, "wrong_type", "/co"),
        ({"co": '{"data":[1]}'}, "wrong_type", "/co"), ({"co": "[]"}, "wrong_type", "/co"),
        (shop("transaction"), "missing_field", "/co"),
        (shop("transaction", iglu("product", {"id": "p"})), "missing_field", "/co"),
        (shop("transaction", iglu("product", {**SHOE, "id": None})), "missing_field", "/co"),
        ({"e": "ti", "ti_id": "o", "ti_sk": "p", "ti_qu": "1"}, "missing_field", "/ti_pr"),
        ({"e": "ti", "ti_id": "o", "ti_pr": "5", "ti_qu": "1"}, "missing_field", "/ti_sk"),
        ({"e": "ti", "ti_sk": "p", "ti_pr": "x", "ti_qu": "1"}, "invalid_amount", "/ti_pr"),
        ({"e": "ti", "ti_sk": "p", "ti_pr": "5", "ti_cu": "EUR"}, "currency_not_accepted", "/ti_cu"),
    ],
)  # fmt: skip
def test_why_an_event_is_refused(door: Door, changes: dict[str, Any], reason: str, pointer: str) -> None:
    answer = send(door, event(**changes), event(eid="good"))
    assert (answer.status, answer.body) == (200, b"ok")
    (kept,) = door.records("rejected")
    assert (kept["reason"], kept["pointer"]) == (reason, pointer)
    assert kept["content_type"] == "application/json; protocol=snowplow"
    assert KEY.encode() not in kept["raw"]
    assert [found["event_id"] for found in door.records("clickstream")] == ["good"]


def test_the_application_id_is_the_key_unless_the_head_has_one(door: Door) -> None:
    assert send(door, event(aid="other")).status == 401
    assert send(door, event(aid=...)).status == 401
    assert send(door, event(aid=...), event()).status == 200, "one of them names it"
    assert send(door, event(aid="web-shop"), authorization=f"Bearer {KEY}").status == 200
    *_, found = door.records("clickstream")
    assert found["properties"]["app_id"] == "web-shop"
    assert door.send("POST", TP2, {"data": []}).status == 400
    assert door.send("POST", TP2, {"data": [event(aid="other")] * 3, "x": "y"}).status == 401
    assert door.records("rejected") == []


def test_pages_may_send_with_their_cookies(door: Door) -> None:
    asked = {"origin": "https://shop.example", "access_control_request_headers": "content-type,sp-anonymous"}
    told = dict(door.send("OPTIONS", TP2, **asked).headers)
    assert told["access-control-allow-origin"] == "https://shop.example"
    assert told["access-control-allow-credentials"] == "true"
    assert told["access-control-allow-headers"] == "content-type,sp-anonymous"
    told = dict(send(door, event(aid="other"), origin="https://shop.example").headers)
    assert told["access-control-allow-origin"] == "https://shop.example", "errors, too"
    assert "set-cookie" not in told
