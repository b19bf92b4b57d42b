"""Daily reports are answered as they were kept, and again as soon as they are made again."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.serving.integration.conftest import Server, eventually
from tests.serving.reports import figures, keep
from tests.serving.shop import Shop, write

pytestmark = pytest.mark.integration

TOTALS = "events views users buyers sessions orders units revenue refunded currency"
QUERY = f"""query ($day: String) {{
  reportDays(first: 5) {{ day isFinal }}
  report(day: $day) {{
    day timeZone since until epoch madeAt isFinal currency oddities
    totals {{ {TOTALS} }} weekBefore {{ {TOTALS} }} funnel {{ action step sessions }}
    topProducts {{ productId category views units revenue currency }} carts {{ additions bought abandoned }}
    quality {{ rejected quarantined duplicates conflicts late residue verifications mismatches }}
    segments {{ day }} }}
  segments(day: $day) {{
    day isFinal currency
    shoppers {{ kind users sessions views sessionTime minutes revenue currency }}
    customers {{ kind users orders revenue currency }} }} }}"""

_SESSION_TIME = {1234.5: "PT20H34M30S", 3.5: "PT3M30S"}


def test_a_report_is_what_was_kept_of_its_day_and_follows_it(empty_server: Server) -> None:
    where = empty_server.database_url, empty_server.schema
    asyncio.run(write(*where, Shop(committed_at=datetime(2026, 3, 2, tzinfo=UTC))))
    assert eventually(lambda: empty_server.data("{ asOf { epoch } }")["asOf"])
    assert empty_server.data(QUERY) == {"reportDays": [], "report": None, "segments": None}

    newest, older = figures("2026-03-02", is_final=False), figures("2026-03-01")
    asyncio.run(keep(*where, newest, older))
    assert eventually(lambda: empty_server.data(QUERY)["report"])
    days = [{"day": "2026-03-02", "isFinal": False}, {"day": "2026-03-01", "isFinal": True}]
    for asked, kept in ((None, newest), ("2026-03-01", older)):
        found = empty_server.data(QUERY, day=asked)
        assert found["reportDays"] == days
        assert found["report"]["segments"] == {"day": kept["day"]}
        assert found["report"]["madeAt"] == "2026-03-02T02:00:00Z"
        apart = {"madeAt": None, "segments": None}
        same = _told(_with_currency(kept), *(kept.keys() - {"shoppers", "customers", "oddest"}))
        actions = [step.pop("action") for step in found["report"]["funnel"]]
        assert actions == ["VIEW", "ADD_TO_CART", "CHECKOUT_START", "PURCHASE"]
        assert found["report"] | apart == same | apart
        assert found["segments"] == {
            **_told(kept, "day", "is_final", "currency"),
            **{name: [_kind(group) for group in _with_currency(kept[name])] for name in ("shoppers", "customers")},
        }
    assert empty_server.data(QUERY, day="2020-01-01")["report"] is None

    asyncio.run(keep(*where, newest | {"oddities": 77}))
    assert eventually(lambda: empty_server.data(QUERY)["report"]["oddities"] == 77)


def _with_currency(value: Any) -> Any:
    """Money in what is kept has the report's currency beside it where it is served."""
    if isinstance(value, list):
        return [_with_currency(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = {name: _with_currency(each) for name, each in value.items()}
    return {"currency": "USD", **told} if "revenue" in value else told


def _told(kept: dict[str, Any], *names: str) -> dict[str, Any]:
    return {_camel(name): _camels(kept[name]) for name in names}


def _kind(group: dict[str, Any]) -> dict[str, Any]:
    told = {("kind" if name == "group" else name): _upper(name, value) for name, value in group.items()}
    return told | ({"sessionTime": _SESSION_TIME[group["minutes"]]} if "minutes" in group else {})


def _upper(name: str, value: Any) -> Any:
    return value.upper() if name == "group" else value


def _camels(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(name): _camels(each) for name, each in value.items()}
    return [_camels(each) for each in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)
