"""What is viewed together, counted afresh from the events; from paths, and from hours that they were summed up to."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import insert

from contracts.projections import sessions
from contracts.rollups import pair_hours, roll_ups
from tests.serving.events import Event, by_bot, islands, visits
from tests.serving.integration.conftest import NOW, Server, eventually
from tests.serving.rows import PATH_STEPS
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

QUERY = """query ($id: ID!, $range: TimeRange!, $first: Int!) {
  alsoViewed(productId: $id, range: $range, first: $first) {
    productId sessions products { productId sessions share } } }"""
HOUR = timedelta(hours=1)
FROM = datetime(2026, 2, 26, 8, tzinfo=UTC)


def pairs(events: Iterable[Event], start: datetime, end: datetime) -> dict[datetime, Counter[tuple[str, str]]]:
    """By hour in which sessions began, in how many two products were viewed."""
    found: dict[datetime, Counter[tuple[str, str]]] = defaultdict(Counter)
    for island in islands(list(events)):
        begun = min(event.at for event in island)
        if start <= begun < end and not by_bot(island):
            seen = island[:PATH_STEPS]
            viewed = {one.product for one in seen if one.product and one.action in {"view", "page_view"}}
            found[begun.replace(minute=0, second=0, microsecond=0)].update(product(viewed, viewed))
    return found


def expected(of: str, counted: dict[datetime, Counter[tuple[str, str]]], first: int) -> dict[str, Any]:
    together = sum(counted.values(), Counter[tuple[str, str]]())
    viewed = together[of, of]
    others = sorted((-count, other) for (one, other), count in together.items() if one == of != other)
    return {
        "productId": of,
        "sessions": viewed,
        "products": [
            {"productId": other, "sessions": -count, "share": pytest.approx(-count / viewed)}
            for count, other in others[:first]
        ],
    }


def asked(server: Server, of: str, start: datetime, end: datetime, first: int = 10) -> dict[str, Any]:
    span = {"from": start.isoformat(), "to": end.isoformat()}
    found: dict[str, Any] = server.data(QUERY, id=of, range=span, first=first)["alsoViewed"]
    return found


@pytest.mark.parametrize("of", ["p-tent", "p-mug", "no such product"])
def test_from_paths(server: Server, shop: Shop, of: str) -> None:
    start, end = NOW - timedelta(hours=4, minutes=10), NOW - timedelta(minutes=20)
    for first in (10, 2, 0):
        assert asked(server, of, start, end, first) == expected(of, pairs(shop.events, start, end), first)


async def test_from_hours_where_there_are_and_from_paths_between_them(empty_server: Server) -> None:
    events = visits(5, FROM, FROM + 6 * HOUR)
    shop = Shop(events=events, committed_at=FROM + 6 * HOUR)
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: empty_server.data("{ asOf { epoch } }")["asOf"]["epoch"] == shop.epoch)
    start, end = FROM + HOUR / 2, FROM + 5 * HOUR + HOUR / 4
    wanted = expected("p-lamp", pairs(events, start, end), 10)
    assert len(wanted["products"]) > 3
    assert asked(empty_server, "p-lamp", start, end) == wanted

    made = pairs(events, FROM, FROM + 6 * HOUR)
    stale, gone = FROM + 2 * HOUR, {FROM + HOUR, FROM + 4 * HOUR}
    cells = [
        {
            "grain": "session_hour",
            "starts_at": at,
            "stale": at == stale,
            "marks": 0,
            "made_at": FROM,
            "fine_gone": at in gone,
        }
        for at in made
    ]
    rows = [
        {"hour": at, "product_id": one, "other_id": other, "sessions": count + 100 * (at == stale)}
        for at, counted in made.items()
        for (one, other), count in counted.items()
    ]
    store = engine(empty_server.database_url, empty_server.schema)
    async with store.begin() as connection:
        await connection.execute(insert(roll_ups), cells)
        await connection.execute(insert(pair_hours), rows)
        for at in gone:
            began_then = (sessions.c.started_at >= at) & (sessions.c.started_at < at + HOUR)
            await connection.execute(sessions.update().where(began_then).values(path=[]))
    await store.dispose()
    assert asked(empty_server, "p-lamp", start, end, first=11) == wanted
