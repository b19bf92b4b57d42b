"""Reading paths is dear: over a number of sessions it is refused, with the number, before any path is read."""

from pathlib import Path

import pytest

from tests.serving.events import by_bot, islands
from tests.serving.integration.conftest import NOW, Server, serving
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

ROOTS = {
    "journeys": "journeys(range: $range) { journeys }",
    "funnel": "funnel(range: $range, steps: [VIEW, PURCHASE]) { segments { sessions } }",
    "funnel of a product": 'funnel(range: $range, productId: "p-mug") { segments { sessions } }',
    "funnel by device": "funnel(range: $range, steps: [VIEW, CLICK], breakdown: DEVICE) { segments { sessions } }",
}


@pytest.mark.parametrize("limit", [-1, 0, 1])
def test_one_session_over_the_limit_is_refused(server: Server, shop: Shop, tmp_path: Path, limit: int) -> None:
    start = NOW.replace(hour=9, minute=0, second=0)
    span = {"from": start.isoformat(), "to": NOW.isoformat()}
    there = sum(one[0].at >= start and not by_bot(one) for one in islands(shop.events))
    allowed = there + limit
    with serving(server.database_url, server.schema, tmp_path, serving_max_path_sessions=str(allowed)) as small:
        for name, root in ROOTS.items():
            answer = small.post(f"query ($range: TimeRange!) {{ {root} }}", range=span)
            if limit >= 0:
                assert "errors" not in answer, name
                continue
            (error,) = answer["errors"]
            assert error["extensions"] == {"code": "TOO_LARGE", "argument": "range"}
            assert error["message"].startswith(f"range: more than {allowed} sessions started in it, the limit for ")
        after = {"from": NOW.isoformat(), "to": (NOW + (NOW - start)).isoformat()}
        also = {"also viewed": 'alsoViewed(range: $range, productId: "p-mug") { sessions }'}
        for name, root in (ROOTS | also).items():
            answer = small.post(
                f"query ($range: TimeRange!) {{ {root.replace('$range', '$range, compareWith: RANGE_BEFORE')} }}",
                range=after,
            )
            assert ("errors" in answer) is (limit < 0), name
            assert limit >= 0 or "the period it is compared with" in answer["errors"][0]["message"]
        # The usual funnel reads no path, so it has no such limit.
        usual = "query ($range: TimeRange!) { funnel(range: $range) { segments { sessions } } }"
        assert small.data(usual, range=span)["funnel"]["segments"] == [{"sessions": there}]
