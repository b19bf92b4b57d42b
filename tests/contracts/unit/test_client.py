"""A client that is generated: its names and types, what it sends, what it reads, and what becomes of errors."""

import sys
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx
import msgspec
import pytest

from contracts.client.generate import Document, NoClient, client
from contracts.client.runtime import ApiError

pytestmark = pytest.mark.unit

SDL = """
scalar DateTime scalar Decimal scalar Duration scalar Long scalar Blob
type Query {
  sales(range: Range!, kinds: [Kind!], least: Decimal, every: Duration = "PT1H"): [Sale!]!
  sale(id: ID!): Sale
  anything: Either
  blob: Blob
}
type Subscription { sold: Sale! }
union Either = Sale | Shop
type Shop { name: String! }
interface Priced { total: Decimal! }
"What was sent."
type Sale implements Priced {
  id: ID!
  from: DateTime!
  "Money, so \\"exact\\"."
  total: Decimal!
  took: Duration
  kind: Kind!
  tags: [String]
  shop: Shop
}
enum Kind { WEB "In a shop." TILL }
input Range { from: DateTime! to: DateTime limit: Int = 7 }
"""
modules = count()


def made(*texts: str) -> Any:
    """The module that a client is."""
    source = client(SDL, [Document(f"{number}.graphql", text) for number, text in enumerate(texts)], "make")
    module = types.ModuleType(f"made_{next(modules)}")
    sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile(source, module.__name__, "exec"), vars(module))
    return module


@pytest.fixture(scope="module")
def sales() -> Any:
    return made("""
        query Sales($range: Range!, $kinds: [Kind!], $least: Decimal, $every: Duration! = "PT2H", $more: Boolean!) {
          mostSold: sales(range: $range, kinds: $kinds, least: $least, every: $every) {
            __typename ...Priced took kind tags
            shop { name }
            ... on Sale @include(if: $more) { id shop { label: name } }
          }
        }
        fragment Priced on Priced { total ... on Sale { from } }
        subscription Sold { sold { total } }
    """)


def answering(module: Any, sale: dict[str, Any]) -> Any:
    """What is read of an answer with one sale."""
    return msgspec.json.decode(msgspec.json.encode({"mostSold": [sale]}), type=module.Sales).most_sold[0]


SALE = {"__typename": "Sale", "total": "12.50", "from": "2026-03-01T00:00:00Z", "took": "PT1M30S", "kind": "TILL",
        "tags": ["a", None], "shop": {"name": "one"}}  # fmt: skip


def test_an_answer_has_the_types_of_the_schema(sales: Any) -> None:
    sale = answering(sales, SALE)
    assert (sale.typename, sale.total, sale.took) == ("Sale", Decimal("12.50"), timedelta(seconds=90))
    assert sale.from_ == datetime(2026, 3, 1, tzinfo=UTC)
    assert sale.kind is sales.Kind.TILL
    assert (sale.tags, sale.shop.name) == (["a", None], "one")
    assert (sale.id, sale.shop.label) == (None, None)  # left out by a directive


@pytest.mark.parametrize(
    "change", [{"total": None}, {"total": "much"}, {"kind": "MAIL"}, {"from": "today"}, {"shop": {}}, {"took": 3}]
)
def test_what_the_schema_does_not_say_is_not_read(sales: Any, change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        answering(sales, {**SALE, **change})


def test_what_may_be_null_may_be(sales: Any) -> None:
    assert answering(sales, {**SALE, "took": None, "tags": None, "shop": None}).shop is None


def test_variables_are_sent_as_the_api_takes_them_and_none_is_left_to_its_default(sales: Any) -> None:
    span = sales.Range(from_=datetime(2026, 3, 1, tzinfo=UTC))
    asked = sales.sales(range=span, kinds=[sales.Kind.WEB], least=Decimal("0.10"), more=True)
    told = msgspec.json.decode(asked.request())
    assert told["operationName"] == "Sales"
    assert told["variables"] == {
        "range": {"from": "2026-03-01T00:00:00Z"},
        "kinds": ["WEB"],
        "least": "0.10",
        "more": True,
    }
    for missing in ({"range": span}, {"more": False}):
        with pytest.raises(TypeError, match="missing"):
            sales.sales(**missing)


def test_a_document_is_sent_as_it_is_written() -> None:
    text = 'query One { sale(id: """a "b" \\u00e9""") { id } }\n'
    assert made(text).one().document == text


def test_descriptions_come_along(sales: Any) -> None:
    source = client(SDL, [Document("a", "query Q { sale(id: 1) { total kind } }")], "make it so")
    assert "# Made by `make it so`" in source
    assert sales.SalesMostSold.__doc__ == "What was sent."
    assert '"""Money, so "exact".' in source
    assert '    TILL = "TILL"\n    """In a shop."""' in source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("query Q { sale(id: 1) { weight } }", "Cannot query field 'weight' on type 'Sale'"),
        ("query Q { sale(id: 1) {", "Syntax Error"),
        ("{ sale(id: 1) { id } }", "no name"),
        ("query Q { anything { __typename } }", "Either: what may be of one of several types"),
        ("query Q { blob }", "the scalar Blob"),
        ("query Q { a: sale(id: 1) { id } } query QA { sale(id: 1) { id } }", "QA would be there twice"),
        ("query client { sale(id: 1) { id } }", "Client would be there twice"),
        ("query Q { aB: sale(id: 1) { id } a_b: sale(id: 2) { id } }", "two of its fields"),
        ("query Q { ...Elsewhere }", "Unknown fragment 'Elsewhere'"),
    ],
)
def test_what_cannot_be_a_client_says_why(text: str, says: str) -> None:
    with pytest.raises(NoClient, match=says):
        made(text)


@pytest.fixture
def api(sales: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Any]]:
    """A client whose every request is answered so."""
    opened = []

    def connect(respond: Any) -> Any:
        told = sales.Client("http://api/graphql", "secret")
        told._http = httpx.Client(transport=httpx.MockTransport(respond))
        opened.append(told)
        return told

    yield connect
    for each in opened:
        each.close()


SOLD = 'event: next\ndata: {"data":{"sold":{"total":"1.50"}}}\n\n'
STREAM = {"content-type": "text/event-stream; charset=utf-8"}


def test_every_failure_is_one_kind_of_error_with_a_code(sales: Any, api: Callable[[Any], Any]) -> None:
    asked = sales.sales(range=sales.Range(from_=datetime.now(UTC)), more=False)
    busy = {"message": "Later.", "extensions": {"code": "UNAVAILABLE", "retryAfterSeconds": 2}}
    bad = {"message": "No.", "path": ["mostSold", 0], "extensions": {"code": "INVALID_ARGUMENT", "argument": "range"}}
    line = {"message": "Too many.", "extensions": {"code": "TOO_MANY_REQUESTS"}}
    answers: list[tuple[httpx.Response, str, float | None]] = [
        (httpx.Response(200, json={"data": None, "errors": [busy, bad]}), "UNAVAILABLE", 2),
        (httpx.Response(400, json={"errors": [bad]}), "INVALID_ARGUMENT", None),
        (httpx.Response(429, json={"errors": [line]}), "TOO_MANY_REQUESTS", 1),
        (httpx.Response(502, text="<html>"), "NOT_GRAPHQL", None),
        (httpx.Response(200, json={}), "NOT_GRAPHQL", None),
        (httpx.Response(200, json={"data": {"mostSold": [{}]}}), "UNEXPECTED", None),
    ]
    for response, code, after in answers:
        with pytest.raises(sales.ApiError) as failed:
            api(lambda request, response=response: response).ask(asked)
        assert (failed.value.code, failed.value.status) == (code, response.status_code)
        assert failed.value.retry_after_seconds == after

    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(sales.ApiError, match="refused") as failed:
        api(unreachable).ask(asked)
    assert (failed.value.code, failed.value.status, failed.value.faults) == ("NOT_REACHED", None, ())


def test_a_subscription_is_followed_until_it_is_complete(sales: Any, api: Callable[[Any], Any]) -> None:
    whole = SOLD + ":\n\n" + SOLD + "event: complete\ndata:\n\n"
    told = api(lambda request: httpx.Response(200, text=whole, headers=STREAM)).follow(sales.sold())
    assert [each.sold.total for each in told] == [Decimal("1.50")] * 2


def test_a_stream_that_is_none_or_breaks_off_is_an_error(sales: Any, api: Callable[[Any], Any]) -> None:
    refusal = {"errors": [{"message": "A key.", "extensions": {"code": "UNAUTHENTICATED"}}]}
    for response, code in [
        (httpx.Response(401, json=refusal), "UNAUTHENTICATED"),
        (httpx.Response(200, json={"data": {"sold": {"total": "1.00"}}}), "NOT_GRAPHQL"),
        (httpx.Response(200, text=SOLD, headers=STREAM), "NOT_REACHED"),
    ]:
        told = api(lambda request, response=response: response).follow(sales.sold())
        with pytest.raises(sales.ApiError) as failed:
            list(told)
        assert failed.value.code == code


def test_a_client_needs_nothing_of_ours(sales: Any) -> None:
    assert not issubclass(sales.ApiError, ApiError)
    source = client(SDL, [Document("a", "query Q { sale(id: 1) { id } }")], "make")
    assert not [line for line in source.splitlines() if line.startswith(("from contracts", "import contracts"))]
