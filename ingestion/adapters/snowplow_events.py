"""One event of Snowplow's tracker protocol as one event of ours, or as several: an order has lines.

| Snowplow | here |
|---|---|
| eid | event id; without one as for Segment |
| uid, else duid, tnuid, the client_session's user | user id |
| sid, else the client_session's, else the user id | session id |
| ttm, dtm and stm | timestamp: the true one, else as `loose.event_time` corrects it |
| pv, pp | page_view, scroll |
| se, tr | other |
| ti | a transaction |
| ue | by the name of its schema, see `_BY_SCHEMA`; `other` if that is not there |
| ue of the e-commerce plugin | by its type; transaction and refund with the lines of their products |
| url, refr, ua | page_url, referrer, user_agent |

Contexts and the data of self-describing events become properties.

Source: snowplow/documentation, `events/http-requests`, `fundamentals/canonical-event`, `ootb-data/ecommerce-events`.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.rejections import Reason
from ingestion.adapters import bodies, loose
from ingestion.adapters.segment_commerce import Visit, order_lines, plain
from ingestion.adapters.snowplow_ecommerce import ecommerce
from ingestion.errors import EventRefusedError
from ingestion.events import Event, Incoming
from ingestion.values import MAX_TEXT

_PLAIN: Final = {"pv": ("page_view", "page_view"), "pp": ("page_ping", "scroll"), "se": ("struct", "other"),
                 "tr": ("transaction", "other")}  # fmt: skip
"""Kind of an event by `e`: the canonical name, and the action."""
_NAMES: Final = {
    "page": "page_title", "p": "platform", "aid": "app_id", "se_ca": "se_category", "se_la": "se_label",
    "se_pr": "se_property", "se_va": "se_value", "pp_mix": "pp_xoffset_min", "pp_max": "pp_xoffset_max",
    "pp_miy": "pp_yoffset_min", "pp_may": "pp_yoffset_max", "tr_id": "tr_orderid", "tr_af": "tr_affiliation",
    "tr_tt": "tr_total", "tr_tx": "tr_tax", "tr_sh": "tr_shipping", "tr_ci": "tr_city", "tr_st": "tr_state",
    "tr_co": "tr_country", "tr_cu": "tr_currency",
}  # fmt: skip
"""Canonical names of the parameters that become properties."""
_BY_SCHEMA: Final = {
    "link_click": "click", "button_click": "click", "site_search": "search", "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart", "screen_view": "page_view",
}  # fmt: skip
_OWN_VENDORS: Final = ("com.snowplowanalytics.snowplow", "com.snowplowanalytics.mobile")
_ECOMMERCE: Final = "snowplow_ecommerce_action"
_SESSION: Final = "client_session"
_SCHEMA: Final = re.compile(r"iglu:([A-Za-z0-9_.-]+)/([A-Za-z0-9_-]+)/[A-Za-z0-9_-]+/[0-9-]+")
_POINTERS: Final = {
    "/event_id": "/eid", "/transaction_id": "/eid", "/user_id": "/uid", "/session_id": "/sid", "/timestamp": "/dtm",
    "/page_url": "/url", "/referrer": "/refr", "/user_agent": "/ua", "/product_id": "/ti_sk", "/category": "/ti_ca",
    "/amount": "/ti_pr", "/quantity": "/ti_qu", "/order_id": "/ti_id", "/currency": "/ti_cu",
}  # fmt: skip
_ITEM: Final = {"product_id": "ti_sk", "category": "ti_ca", "price": "ti_pr", "quantity": "ti_qu"}
_PASSING: Final = ("stm",)


def pointer(_index: int, part: int, ours: str) -> str | None:
    """Where Snowplow's event has what a field of ours holds; of the lines of an order: the contexts."""
    return _POINTERS.get(ours) if part == 0 else "/co"


class SnowplowMapper:
    """Maps events. `tolerance_ms` is how far a sender's clock may be off before it is corrected."""

    def __init__(self, max_event_bytes: int, tolerance_ms: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._tolerance_ms = tolerance_ms

    def event(
        self,
        piece: bytes,
        received_at_ms: int,
        user_agent: str | None,
        visitor: Callable[[], str],
        *,
        is_app_id: bool,
    ) -> Event:
        """The event of a JSON text. `user_agent` and `visitor` (an id) fill in where a page's event has none.

        `is_app_id` says whether `aid` is the application's id and not the write key, which no event may tell.
        """
        event_id = None
        try:
            said = bodies.read_event(piece, self._max_event_bytes)
            event_id = loose.text(said.get("eid"), "/eid")
            if not is_app_id:
                said.pop("aid", None)
            return self._mapped(said, event_id, received_at_ms, user_agent, visitor)
        except EventRefusedError as refused:
            refused.event_id = event_id
            return refused

    def _mapped(
        self,
        said: Mapping[str, Any],
        event_id: str | None,
        received_at_ms: int,
        user_agent: str | None,
        visitor: Callable[[], str],
    ) -> tuple[Incoming, ...]:
        contexts = _contexts(said)
        session = contexts.get(_SESSION, [{}])[0]
        in_page = said.get("p") == "web"
        user = loose.first_text({f"/{name}": said.get(name) for name in ("uid", "duid", "tnuid")})
        user = user or loose.text(session.get("userId"), "/co") or (visitor() if in_page else None)
        if user is None:
            raise EventRefusedError(Reason.MISSING_FIELD, "/uid", "uid, duid or tnuid is required outside web pages.")
        stated = said.get("ttm") or said.get("dtm")
        visit = Visit(
            event_id=event_id or loose.make_id(said, stated, _PASSING),
            user_id=user,
            session_id=loose.text(said.get("sid"), "/sid") or loose.text(session.get("sessionId"), "/co") or user,
            timestamp=self._timestamp(said, received_at_ms),
            page_url=loose.text(said.get("url"), "/url"),
            referrer=loose.text(said.get("refr"), "/refr"),
            user_agent=loose.text(said.get("ua"), "/ua")
            or (user_agent[: MAX_TEXT["user_agent"]] if in_page and user_agent else None),
            named={ours: loose.text(said.get(theirs), f"/{theirs}") for theirs, ours in _NAMES.items()},
        )
        return _by_kind(said, visit, contexts)

    def _timestamp(self, said: Mapping[str, Any], received_at_ms: int) -> int:
        if said.get("ttm"):
            return loose.event_time(_millis(said["ttm"]), "/ttm", None, received_at_ms, self._tolerance_ms)
        sent = _millis(said.get("stm"))
        stated = _millis(said.get("dtm"))
        return loose.event_time(stated, "/dtm", loose.time_ms(sent), received_at_ms, self._tolerance_ms)


def _by_kind(said: Mapping[str, Any], visit: Visit, contexts: dict[str, list[dict[str, Any]]]) -> tuple[Incoming, ...]:
    kind = loose.text(said.get("e"), "/e")
    rest = {name: data[0] if len(data) == 1 else data for name, data in contexts.items() if name != _SESSION}
    if kind == "ue":
        vendor, name, data = _self_describing(said)
        _name(visit, "unstruct", name)
        if name == _ECOMMERCE:
            return ecommerce(data, contexts, visit)
        action = _BY_SCHEMA.get(name, "other") if vendor in _OWN_VENDORS else "other"
        terms = data.get("terms") if action == "search" else None
        query = " ".join(map(str, terms)) if isinstance(terms, list) else None
        product_id, category = None, None
        if action.endswith("_cart"):
            product_id = loose.text(data.get("sku"), "/ue_pr")
            category = loose.text(data.get("category"), "/ue_pr")
        return (plain(action, visit, data, rest, product_id=product_id, category=category, query=query),)
    if kind == "ti":
        return _item(said, visit)
    if kind not in _PLAIN:
        raise EventRefusedError(Reason.UNKNOWN_TYPE, "/e", f"One of {', '.join((*_PLAIN, 'ti', 'ue'))}.")
    canonical, action = _PLAIN[kind]
    _name(visit, canonical, loose.text(said.get("se_ac"), "/se_ac"))
    return (plain(action, visit, rest),)


def _name(visit: Visit, event_type: str, name: str | None) -> None:
    visit.named |= {"event": name, "event_type": event_type}


def _item(said: Mapping[str, Any], visit: Visit) -> tuple[Incoming, ...]:
    """One item of an order in the older way: an event of its own, so it keeps its own id."""
    product = {ours: said.get(theirs) for ours, theirs in _ITEM.items() if said.get(theirs) not in (None, "")}
    order = {"order_id": said.get("ti_id"), "currency": said.get("ti_cu")}
    try:
        (line,) = order_lines("purchase", order, [product], visit, "")
    except EventRefusedError as refused:
        place = refused.pointer.rpartition("/")[2]
        refused.pointer = f"/{_ITEM.get(place) or {'order_id': 'ti_id', 'currency': 'ti_cu'}.get(place, place)}"
        raise
    line.transaction_id = visit.event_id
    return (line,)


def _contexts(said: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Data of the entities that go with an event, by the names of their schemas."""
    found: dict[str, list[dict[str, Any]]] = {}
    at, entities = _json(said, "co", "cx")
    entities = loose.members(entities, at).get("data", [])
    if not isinstance(entities, list):
        raise EventRefusedError(Reason.WRONG_TYPE, at, "Contexts are an array.")
    for entity in entities:
        _, name, data = _named(entity, at)
        found.setdefault(name, []).append(data)
    return found


def _self_describing(said: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Vendor, name and data of a self-describing event."""
    at, outer = _json(said, "ue_pr", "ue_px")
    if outer is None:
        raise EventRefusedError(Reason.MISSING_FIELD, "/ue_pr", "A self-describing event has ue_pr or ue_px.")
    return _named(loose.members(outer, at).get("data"), at)


def _named(value: Any, at: str) -> tuple[str, str, dict[str, Any]]:
    schema = value.get("schema") if isinstance(value, dict) else None
    parsed = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if parsed is None:
        raise EventRefusedError(Reason.WRONG_TYPE, at, "Not a self-describing JSON (an Iglu schema and its data).")
    return parsed[1], parsed[2], loose.members(value.get("data"), at)


def _json(said: Mapping[str, Any], plain_name: str, coded_name: str) -> tuple[str, Any]:
    """A parameter that holds JSON, as text or in URL-safe Base64; and its place."""
    stated, at = said.get(plain_name), f"/{plain_name}"
    try:
        if stated is None and said.get(coded_name) is not None:
            at = f"/{coded_name}"
            coded = str(said[coded_name])
            stated = base64.b64decode(coded + "=" * (-len(coded) % 4), b"-_", validate=True)
        if stated is None or stated == "" or isinstance(stated, dict):
            return at, None if stated == "" else stated
        content = stated if isinstance(stated, bytes) else str(stated).encode()
    except (binascii.Error, ValueError) as error:
        raise EventRefusedError(Reason.WRONG_TYPE, at, "Not Base64.") from error
    value = bodies.read_value(content)
    if value is None:
        raise EventRefusedError(Reason.MALFORMED_JSON, at, "The text is not JSON.")
    return at, value


def _millis(value: Any) -> Any:
    """Epoch milliseconds, which come as digits in a text."""
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 20 else value
