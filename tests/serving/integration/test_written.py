"""What the database writes of a row is what objects would have been written as, field by field."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, DateTime, Numeric, Text, bindparam, func, select

from serving.queries import Statement
from serving.queries import json as written
from serving.schema.common import average
from serving.schema.scalars import format_decimal, format_time
from tests.examples import examples
from tests.serving.integration.conftest import NOW, Server, new_schema
from tests.serving.integration.in_process import run
from tests.serving.scratch import Scratch

pytestmark = pytest.mark.integration

WINDOW = "windowStart windowEnd isFinal revision lateEvents"
REVENUE = f"{WINDOW} category count units total average refunds refunded currency"
PRODUCT = f"{WINDOW} productId category views clicks searches adds removes checkouts purchases units revenue refunds"
SALES = f"{WINDOW} revenue purchases units orders averagePurchase refunds refunded currency"
SESSION = """id sessionId userId startedAt endedAt duration durationSeconds status events views clicks searches adds
  removes checkouts purchases units revenue currency entryPage exitPage bounced converted category device browser
  os medium referrerSource campaignSource campaign bot botScore botReason viewedAt addedAt checkoutAt purchasedAt
  lateEvents
  revision"""
QUESTIONS = {
    "revenue": f"revenue(range: $range) {{ {REVENUE} <> }}",
    "revenue compared": f"""revenue(range: $range, window: "PT1H", compareWith: RANGE_BEFORE)
      {{ {REVENUE} before: previous {{ was: total {WINDOW} previous {{ total }} <> }} }}""",
    "revenue beside nothing": f"revenue(range: $range) {{ previous {{ {REVENUE} }} ...Total <> }}",
    "products": f'productMetrics(range: $range, window: "PT1H", slide: "PT30M") {{ {PRODUCT} refunded currency <> }}',
    "products compared": f"""productMetrics(range: $range, window: "PT2H", compareWith: RANGE_BEFORE, limit: 50)
      {{ __typename ... on Window {{ lateEvents }} {PRODUCT} previous {{ {PRODUCT} }} <> }}""",
    "sales": f"sales(range: $range, grain: HOUR) {{ __typename {SALES} <> }}",
    "sales of a product": f"""sales(range: $range, grain: HOUR, timeZone: "Asia/Kolkata", products: ["p-tent"])
      {{ {SALES} <> }}""",
    "nodes": f"""sessions(range: $range, first: 50, bots: INCLUDE)
      {{ nodes {{ {SESSION} <> }} pageInfo {{ endCursor hasNextPage }} }}""",
    "edges": f"""sessions(range: $range, last: 7)
      {{ edges {{ cursor node {{ __typename {SESSION} <> }} }} pageInfo {{ endCursor }} }}""",
}
WRITTEN = " AS json"


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_objects_would_be_told_so_too(server: Server, question: str) -> None:
    fragment = "fragment Total on RevenueWindow { total }" if "...Total" in question else ""
    document = f"query ($range: TimeRange!) {{ {question} }} {fragment}"
    asked = {"from": (NOW - timedelta(hours=6)).isoformat(), "to": (NOW + timedelta(hours=1)).isoformat()}
    told, statements = asyncio.run(run(server, document.replace("<>", ""), range=asked))
    # What is skipped by a directive is more than the database writes.
    skipped = document.replace("<>", "also: __typename @skip(if: true)")
    by_objects, others = asyncio.run(run(server, skipped, range=asked))
    assert told == by_objects
    assert all(told.values())
    assert any(WRITTEN in one for one in statements)
    assert not any(WRITTEN in one for one in others)


def test_what_takes_more_is_told_by_objects(server: Server) -> None:
    for fields in ("path { action }", "asOf { epoch }"):
        _, statements = asyncio.run(run(server, f"{{ sessions(first: 2) {{ nodes {{ {fields} }} }} }}"))
        assert not any(WRITTEN in one for one in statements)
    both = "{ sessions(first: 2) { nodes { userId } edges { node { sessionId } } } }"
    data, _ = asyncio.run(run(server, both))
    assert [set(data["sessions"]["nodes"][0]), set(data["sessions"]["edges"][0]["node"])] == [{"userId"}, {"sessionId"}]


@pytest.fixture(scope="module")
def scratch(postgres_url: str) -> Iterator[Scratch]:
    store = Scratch(postgres_url, new_schema(), [])
    yield store
    store.close()


TEXT, NONE = bindparam("text", type_=Text), bindparam("none", type_=Text)
LONG, COUNT = bindparam("long", type_=BigInteger), bindparam("count", type_=BigInteger)
MONEY, AT = bindparam("money", type_=Numeric), bindparam("at", type_=DateTime(timezone=True))
FLAG = bindparam("flag", type_=Boolean)
SPELLED: Statement = select(
    written.text(TEXT), written.whole(LONG), written.decimal(MONEY), written.mean(func.abs(MONEY), COUNT),
    written.instant(AT), written.flag(FLAG), written.or_null(written.text(NONE)),
)  # fmt: skip
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - by the strategy
SCALARS = st.fixed_dictionaries(
    {
        "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
        "long": st.integers(-(2**53) + 1, 2**53 - 1),
        "money": st.decimals(-(10**12), 10**12, places=4).map(lambda money: money + 0),  # there is no -0
        "count": st.integers(0, 10**9),
        "at": TIMES | TIMES.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
        "flag": st.booleans(),
        "none": st.none(),
    }
)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=SCALARS)
def test_scalars_are_spelled_as_in_python(scratch: Scratch, values: dict[str, Any]) -> None:
    mean = average(abs(values["money"]), values["count"])
    (rows,) = scratch.rows([], SPELLED.params(**values))
    assert [json.loads(each) for each in rows[0]] == [
        values["text"], values["long"], format_decimal(values["money"]), None if mean is None else format_decimal(mean),
        format_time(values["at"]), values["flag"], None,
    ]  # fmt: skip


def test_a_count_of_more_than_53_bits_is_not_written(scratch: Scratch) -> None:
    (rows,) = scratch.rows([], select(written.whole(LONG)).params(long=2**53))
    assert rows[0][0] is None
