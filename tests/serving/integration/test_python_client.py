"""The client in Python that is generated from the schema and the consumers' documents, with the API itself.

What is marked `type: ignore` would not be ignored by mypy if the client let it pass.
"""

import sys
import types
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from contracts.client import generate
from contracts.consumers import client
from tests.serving.integration.conftest import NOW, Server, free_port
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

RANGE = client.TimeRange(from_=NOW - timedelta(hours=3), to=NOW)


def asked(server: Server) -> client.Client:
    return client.Client(f"{server.url}/graphql", trust_env=False)


def test_numbers_are_those_of_the_shop_in_types_of_their_own(server: Server, shop: Shop) -> None:
    with asked(server) as api:
        best = api.ask(client.best_sellers(range=RANGE))
        seen = api.ask(client.overview(range=RANGE))
        funnel = api.ask(client.funnel_by_source(range=RANGE)).funnel
        books = api.ask(client.books()).books
        journeys = api.ask(client.journeys(range=RANGE)).journeys
    bought = [one for one in shop.people if one.action == "purchase" and RANGE.from_ <= one.at < NOW.replace(second=0)]
    assert sum(bucket.revenue for bucket in seen.sales) >= sum(one.amount for one in bought if one.at.hour >= 10) > 0
    assert all(type(bucket.revenue) is Decimal for bucket in seen.sales)
    assert [product.rank for product in best.top_products] == [1, 2, 3, 4, 5]
    units: int = best.top_products[0].units
    assert units == max(product.units for product in best.top_products) > 0
    assert seen.as_of is not None
    assert seen.as_of.committed_at == NOW
    assert [step.action for step in funnel.segments[0].steps][-1] is client.FunnelAction.PURCHASE
    took = [segment.steps[-1].median_time for segment in funnel.segments]
    assert any(time is not None and timedelta(0) < time < timedelta(hours=3) for time in took)
    assert books is not None
    assert books.close
    assert journeys.journeys == sum(node.visits for node in journeys.nodes if node.place == 1) > 0


async def test_pages_are_turned_by_cursor_with_asyncio_as_well(server: Server) -> None:
    async with client.AsyncClient(f"{server.url}/graphql", trust_env=False) as api:
        newest = (await api.ask(client.last_sessions())).sessions
        older = (await api.ask(client.last_sessions(after=newest.page_info.end_cursor))).sessions
    told = [*newest.nodes, *older.nodes]
    assert len({session.id for session in told}) == len(told) == 20
    assert [session.started_at for session in told] == sorted((one.started_at for one in told), reverse=True)
    assert {session.status for session in told} <= set(client.SessionStatus)


def test_what_goes_wrong_is_one_kind_of_error(server: Server) -> None:
    with asked(server) as api:
        with pytest.raises(client.ApiError, match="range") as refused:
            api.ask(client.best_sellers(range=client.TimeRange(from_=NOW, to=NOW - timedelta(hours=1))))
        assert refused.value.code == "INVALID_ARGUMENT"
        assert refused.value.faults[0].path == ["topProducts"]
        assert refused.value.faults[0].extensions["argument"] == "range"
    with pytest.raises(client.ApiError) as elsewhere, client.Client(server.url, trust_env=False) as api:
        api.ask(client.books())
    assert (elsewhere.value.code, elsewhere.value.status) == ("NOT_GRAPHQL", 405)
    url = f"http://127.0.0.1:{free_port()}/graphql"
    with pytest.raises(client.ApiError) as nobody, client.Client(url, trust_env=False) as api:
        api.ask(client.books())
    assert nobody.value.code == "NOT_REACHED"


async def test_a_subscription_is_followed(server: Server) -> None:
    documents = [generate.Document("mine", "subscription Commits { epochs { epoch committedAt } }")]
    source = generate.client(generate.SDL.read_text(), documents, "the test")
    made: Any = types.ModuleType("client_of_a_subscription")
    sys.modules[made.__name__] = made  # where annotations are looked up
    exec(compile(source, made.__name__, "exec"), vars(made))
    with made.Client(f"{server.url}/graphql", trust_env=False) as api:
        assert next(api.follow(made.commits())).epochs.committed_at == NOW
    async with made.AsyncClient(f"{server.url}/graphql", trust_env=False) as api:
        assert (await anext(api.follow(made.commits()))).epochs.epoch == 1


def what_mypy_refuses(api: client.Client) -> None:
    """Never run. A range is not a text, nobody asked for revenue, and money is not a float."""
    client.best_sellers(range="today")  # type: ignore[arg-type]
    client.best_sellers()  # type: ignore[call-arg]
    product = api.ask(client.best_sellers(range=RANGE)).top_products[0]
    product.revenue  # type: ignore[attr-defined] # noqa: B018
    spent: float = api.ask(client.last_sessions()).sessions.nodes[0].revenue  # type: ignore[assignment] # noqa: F841
    api.follow(client.books())  # type: ignore[arg-type]
