"""The same answers from minutes and from the hours and days that they were summed up to, with the minutes gone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.serving.events import visits
from tests.serving.integration.conftest import Server, eventually
from tests.serving.shop import Shop, engine, write
from tests.serving.summed_up import sum_up

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
FROM = datetime(2026, 2, 26, tzinfo=UTC)
LAST = FROM + 2 * DAY + timedelta(hours=5, minutes=20)

WINDOW = "windowStart windowEnd lateEvents revision isFinal"
UNIQUE = "uniqueUsers uniqueBuyers"
MEASURES = "views clicks adds purchases units revenue refunds refunded"
ROOTS = {
    "hours of products": f'productMetrics(range: $range, window: "PT1H") {{ {WINDOW} {MEASURES} {UNIQUE} }}',
    "sliding days": f'productMetrics(range: $range, window: "P1D", slide: "PT6H") {{ {WINDOW} {MEASURES} {UNIQUE} }}',
    "days of revenue": f'revenue(range: $range, window: "P1D") {{ {WINDOW} category count units total average }}',
    "top": f"topProducts(range: $range, by: REVENUE) {{ rank productId categories {MEASURES} }}",
    "sales by hour": f"sales(range: $range, grain: HOUR) {{ {WINDOW} revenue purchases orders uniqueCustomers }}",
    "sales by day elsewhere": f'sales(range: $range, grain: DAY, timeZone: "Europe/Berlin") {{ {WINDOW} units }}',
    "lateness": "lateness(range: $range) { events late buckets { upTo events } }",
}
WINDOWS = {
    "revenue": f"revenue(range: $range) {{ {WINDOW} category count units total refunds refunded }}",
    "and of bots": f'revenue(range: $range, window: "PT15M", bots: INCLUDE) {{ {WINDOW} category average }}',
    "beside": f"revenue(range: $range, compareWith: DAY_BEFORE) {{ {WINDOW} total previous {{ windowStart total }} }}",
}
"""Of five minutes and multiples of them, which are summed up as well and go when the minutes do."""
CUT = {
    "short windows": f'productMetrics(range: $range, window: "PT5M") {{ {WINDOW} }}',
    "revenue": f"revenue(range: $range) {{ {WINDOW} }}",
    "half hours": f'sales(range: $range, grain: HOUR, timeZone: "Asia/Kolkata") {{ {WINDOW} }}',
}


def asked(server: Server, roots: dict[str, str]) -> dict[str, Any]:
    fields = " ".join(f"r{number}: {root}" for number, root in enumerate(roots.values()))
    span = {"from": FROM.isoformat(), "to": (LAST + DAY).isoformat()}
    return server.post(f"query ($range: TimeRange!) {{ {fields} }}", range=span)


@pytest.mark.parametrize("drop", [False, True], ids=["minutes spoilt", "minutes gone"])
async def test_answers_are_the_same(empty_server: Server, drop: bool) -> None:
    events = visits(11, FROM, FROM + timedelta(hours=7)) + visits(12, LAST - timedelta(hours=3), LAST)
    shop = Shop(events=events, committed_at=LAST, epoch=10 * (drop + 1))
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: empty_server.data("{ asOf { epoch } }")["asOf"]["epoch"] == shop.epoch)
    roots = ROOTS if drop else {**ROOTS, **WINDOWS}
    before = asked(empty_server, roots)
    assert "errors" not in before
    assert all(before["data"].values())

    store = engine(empty_server.database_url, empty_server.schema)
    async with store.begin() as connection:
        await sum_up(connection, FROM + 2 * DAY, drop=drop)
    await store.dispose()
    # Asked a little otherwise, so that it is read again.
    after = asked(empty_server, {**roots, "": "asOf { epoch }"})
    del after["data"][f"r{len(roots)}"]
    assert after == before

    told = asked(empty_server, CUT)
    codes = {error["extensions"]["code"] for error in told.get("errors", [])}
    assert codes == ({"INVALID_ARGUMENT"} if drop else set())
