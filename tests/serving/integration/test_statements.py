"""How many SQL statements an answer takes: one for each root, and one for `asOf`, however long its lists are.

Where there is one root and the newest commit is known, they are all that Postgres is asked: no transaction, no `asOf`.
"""

import asyncio
import re

import pytest

from serving.documents import EPOCHAL
from tests.serving.integration.conftest import NOW, Server
from tests.serving.integration.in_process import in_process, run

pytestmark = pytest.mark.integration

RANGE = f'range: {{from: "{NOW.replace(hour=8).isoformat()}", to: "{NOW.isoformat()}"}}'
ROOTS = {
    "asOf": ("asOf { epoch }", 0),
    "productMetrics": (f"productMetrics({RANGE}) {{ views uniqueUsers isFinal }}", 1),
    "productMetrics compared": (
        f'productMetrics({RANGE}, window: "PT1H", compareWith: RANGE_BEFORE) {{ views previous {{ uniqueUsers }} }}',
        1,
    ),
    "revenue": (f"revenue({RANGE}) {{ total }}", 1),
    "revenue compared": (f"revenue({RANGE}, compareWith: RANGE_BEFORE) {{ total previous {{ total }} }}", 1),
    "topProducts": (f"topProducts({RANGE}, by: VIEWS) {{ views }}", 1),
    "topProducts compared": (
        f"topProducts({RANGE}, by: VIEWS, compareWith: DAY_BEFORE) {{ views previous {{ views }} }}",
        1,
    ),
    "sessions": ("sessions(first: 150) { edges { cursor node { id device path { action } asOf { epoch } } } }", 1),
    "conversions": (f"conversions({RANGE}) {{ clicks isFinal }}", 1),
    "conversions compared": (
        f"conversions({RANGE}, compareWith: RANGE_BEFORE) {{ clicks previous {{ clicks }} }}",
        1,
    ),
    "alsoViewed": (f'alsoViewed(productId: "p-tent", {RANGE}) {{ sessions products {{ share }} }}', 1),
    "cartAbandonment": (f"cartAbandonment({RANGE}) {{ rate isFinal products {{ abandoned }} }}", 1),
    "cartAbandonment compared": (
        f"cartAbandonment({RANGE}, compareWith: RANGE_BEFORE) {{ rate previous {{ rate }} products {{ abandoned }} }}",
        1,
    ),
    "funnel": (f"funnel({RANGE}, breakdown: DEVICE) {{ isFinal segments {{ steps {{ sessions }} }} }}", 1),
    "funnel compared": (
        f'funnel({RANGE}, steps: [VIEW], compareWith: RANGE_BEFORE, productId: "p-mug") '
        "{ segments { previous { sessions } } }",
        1,
    ),
    "sessionMetrics": (f"sessionMetrics({RANGE}, breakdown: DEVICE) {{ isFinal segments {{ bounceRate }} }}", 1),
    "sessionMetrics compared": (
        f"sessionMetrics({RANGE}, compareWith: RANGE_BEFORE) {{ segments {{ sessions previous {{ sessions }} }} }}",
        1,
    ),
    "custom funnel": (f"funnel({RANGE}, steps: [VIEW, CLICK]) {{ segments {{ steps {{ sessions }} }} }}", 1),
    "journeys": (f"journeys({RANGE}) {{ nodes {{ label }} transitions {{ from to }} }}", 1),
    "journeys compared": (
        f'journeys({RANGE}, compareWith: RANGE_BEFORE, productId: "p-mug") '
        "{ previous { journeys } nodes { previous { visits } } transitions { previous { count } } }",
        1,
    ),
    "users": ("users(first: 60) { nodes { sessions orders favouriteCategory } edges { node { sessions } } }", 1),
    "user": ('user(id: "u-1") { sessions orders favouriteCategory }', 1),
    "retention": ("retention(weeks: 20) { weeks { users } }", 1),
    "realtime": ("realtime { activeUsers cartAbandonmentRate conversionRate series { views } }", 1),
    "realtime compared": ("realtime(compareWith: DAY_BEFORE) { activeUsers previous { revenue } }", 1),
    "sales": (f"sales({RANGE}, grain: HOUR) {{ orders uniqueCustomers revenue }}", 1),
    "sales compared": (
        f"sales({RANGE}, grain: HOUR, compareWith: WEEK_BEFORE) {{ orders previous {{ uniqueCustomers }} }}",
        1,
    ),
    "segments": ("segments { shoppers { users } customers { users } }", 1),
    "report": ("report { totals { revenue } }", 1),
    "reportDays": ("reportDays { day }", 1),
    "books": ("books { close epochs { epoch } epochsConnection { nodes { epoch } } }", 3),
    "explain": ('explain(eventId: "e-7-0-1") { verdict copies { offset } }', 1),
    "explain in place": (
        'explain(eventId: "e-7-0-1") { applied { inSession { step session { id } } conversion { clicks } } }',
        2,
    ),
    "lateness": (f"lateness({RANGE}) {{ buckets {{ events }} }}", 1),
    **{
        f"{root} beside": (f"{root}({RANGE}, {more}compareWith: DAY_BEFORE) {{ previous {{ {number} }} }}", 1)
        for root, more, number in (
            ("lateness", "", "late"),
            ("duplicates", "", "conflicts"),
            ("rejections", "", "rejected"),
            ("alsoViewed", 'productId: "p-mug", ', "sessions"),
        )
    },
    "duplicates": (f"duplicates({RANGE}) {{ samples {{ eventId }} samplesConnection {{ nodes {{ epoch }} }} }}", 3),
    "rejections": (f"rejections({RANGE}) {{ samples {{ raw }} quarantineSamples {{ raw }} }}", 3),
    "rejections page by page": (
        f"rejections({RANGE}) {{ samplesConnection {{ edges {{ cursor node {{ raw }} }} pageInfo {{ endCursor }} }} "
        "quarantineSamplesConnection { nodes { raw } } }",
        3,
    ),
    **{
        root: (f"{root} {{ edges {{ cursor node {{ {field} }} }} }}", 1)
        for root, field in (
            ("alertsConnection(status: ALL)", "deliveries { notice }"),
            (f"anomaliesConnection({RANGE})", "contributions { value }"),
            ("requestsConnection", "receipt"),
            ("verificationsConnection", "examples { table }"),
            ("reportDaysConnection", "day"),
        )
    },
}
"""Each root, and its statements besides that of `asOf`: a field that takes a `first` of its own is one more."""


@pytest.mark.parametrize("root", list(ROOTS))
def test_a_root_is_one_statement(server: Server, root: str) -> None:
    field, wanted = ROOTS[root]
    data, statements = asyncio.run(run(server, f"{{ {field} }}"))
    as_of = [one for one in statements if one.lstrip().startswith("SELECT epochs.epoch, epochs.committed_at, epochs.w")]
    assert len(statements) - len(as_of) == wanted, statements
    assert len(as_of) <= 1
    assert all(data.values())


@pytest.mark.parametrize(
    ("fields", "reads"), [("activeUsers conversionRate series { views }", False), ("cartAbandonmentRate", True)]
)
def test_an_hour_of_sessions_is_read_only_for_the_field_that_is_about_them(
    server: Server, fields: str, reads: bool
) -> None:
    _, statements = asyncio.run(run(server, f"{{ realtime {{ {fields} }} }}"))
    assert any("FROM sessions" in one for one in statements) is reads


async def test_one_root_is_asked_for_in_one_round_trip_where_the_commit_is_known(server: Server) -> None:
    async with in_process(server) as running:
        for root, (field, wanted) in ROOTS.items():
            running.database.newest = None
            in_a_transaction = await running.data(f"{{ {field} }}")
            running.database.asked.clear()
            alone = await running.data(f"{{ {field} }}")
            asked = running.database.asked
            if root.split()[0] in {*EPOCHAL, "custom"}:
                # Where the last of several finds nothing, `asOf` proves what it is of.
                assert len(asked) == max(wanted, 1) or (len(asked) == wanted + 1 > 2), asked
                assert not any(each.startswith(("BEGIN", "ROLLBACK")) for each in asked)
            else:
                assert asked[0].startswith("BEGIN")
            assert alone == in_a_transaction


async def test_several_roots_and_a_commit_that_is_not_the_newest_heard_of_take_a_transaction(server: Server) -> None:
    async with in_process(server) as running:
        sums, both = "{ segments { shoppers { users } } }", "{ segments { shoppers { users } } reportDays { day } }"
        await running.data(sums)
        for document, heard_of, alone in ((sums, None, True), (both, None, False), (sums, 10**6, False)):
            running.feed.newest = heard_of
            running.database.asked.clear()
            await running.data(document)
            assert (len(running.database.asked) == 1) is alone
            assert running.database.asked[0].startswith("BEGIN") is not alone


async def test_that_there_is_nothing_is_proven_too(server: Server) -> None:
    async with in_process(server) as running:
        for _ in range(2):
            running.database.asked.clear()
            assert not (await running.data('{ sessions(userId: "nobody") { nodes { id } } }'))["sessions"]["nodes"]
        statement, as_of = running.database.asked
        assert "FROM sessions" in statement
        assert "FROM sessions" not in as_of


def test_all_roots_together_read_the_newest_epoch_once(server: Server) -> None:
    fields = [f"r{number}: {field}" for number, (field, _) in enumerate(ROOTS.values())]
    _, statements = asyncio.run(run(server, f"{{ {' '.join(fields)} }}"))
    assert len(statements) == 1 + sum(wanted for _, wanted in ROOTS.values())


def test_what_is_not_asked_for_is_not_counted(server: Server) -> None:
    _, (_as_of, users) = asyncio.run(run(server, "{ users { nodes { id revenue } } }"))
    assert "FROM sessions" not in users
    assert "FROM orders" not in users
    _, (_as_of, sessions_counted) = asyncio.run(
        run(server, "{ users { edges { node { ... on User { sessions } } } } }")
    )
    assert "FROM sessions" in sessions_counted
    assert "FROM orders" not in sessions_counted


@pytest.mark.parametrize(
    ("fields", "read"), [("rank purchases", {"purchases"}), ("revenue categories", {"revenue", "category"})]
)
def test_products_are_summed_up_by_what_is_asked_for(server: Server, fields: str, read: set[str]) -> None:
    _, statements = asyncio.run(run(server, f"{{ topProducts({RANGE}, by: VIEWS) {{ {fields} }} }}"))
    (told,) = (one for one in statements if "row_number" in one)
    assert set(re.findall(r"(?:sum|distinct)\(rows\.(\w+)", told)) == {"views", *read}  # by which they are ranked
