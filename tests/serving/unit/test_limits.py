"""Documents that ask for too much by their shape, and what clients get to see of errors. No database is reached."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from graphql import GraphQLError
from pydantic import SecretStr
from structlog.testing import capture_logs

from contracts.settings import PostgresSettings, ShopSettings
from serving.costs import rows_of
from serving.database import Database
from serving.errors import BadCursor, InvalidText, NotReady, TookTooLong, Unavailable, describe, from_database
from serving.event_log import EventLog
from serving.execution import Executor
from serving.feed import EpochFeed
from serving.request import from_members
from serving.schema import build_schema
from serving.schema.context import Services
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

SETTINGS = ServingSettings(max_depth=3, max_aliases=3, max_tokens=200, max_rows=50, max_points=100, max_page_size=10)


async def errors_of(document: str) -> list[dict[str, Any]]:
    database = Database(PostgresSettings(url=SecretStr("postgresql://127.0.0.1:1/none")), SETTINGS)
    services = Services(
        database, EpochFeed(database.connect, 5), SETTINGS, ShopSettings(), EventLog(Path("nowhere"), 2)
    )
    executor = Executor(build_schema(), services)
    request = from_members({"query": document})
    answer = await executor.run(request, executor.operation(request))
    await database.close()
    errors: list[dict[str, Any]] = json.loads(answer.body).get("errors", [])
    return errors


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{" + " ".join(f"a{n}: asOf {{ epoch }}" for n in range(4)) + "}", "4 aliases; the limit is 3"),
        ("fragment A on Query { a: asOf { b: epoch } } { ...A ... on Query { ...A } }", "4 aliases; the limit is 3"),
        ("{ asOf {" + "epoch " * 200 + "} }", "200"),
        (
            "{ asOf { epoch } ...F } fragment F on Query { sessions { edges { node { path { action } } } } }",
            "levels deep",
        ),
        ("{ nope }", "Cannot query field 'nope'"),
        ("{ asOf { epoc } }", "Cannot query field 'epoc'"),
        ("fragment A on Query { ...B } fragment B on Query { ...A } { ...A }", "Cannot spread fragment"),
    ],
    ids=["aliases", "aliases in fragments", "tokens", "levels deep", "unknown", "no hint", "cycle"],
)
async def test_a_document_over_a_limit_does_not_run(document: str, message: str) -> None:
    found = await errors_of(document)
    assert any(message in error["message"] for error in found), found
    assert {error["extensions"]["code"] for error in found} == {"BAD_REQUEST"}
    assert not any("Did you mean" in error["message"] for error in found)


NOW = datetime(2026, 3, 1, tzinfo=UTC)
RANGE = 'range: {from: "2026-03-01T00:00:00", to: "2026-03-01T01:00:00"}'
YEAR = 'range: {from: "2025-03-01T00:00:00", to: "2026-03-01T01:00:00"}'


@pytest.mark.parametrize(
    ("root", "code", "message"),
    [
        (f'productMetrics({RANGE}, window: "PT90S") {{ views }}', "INVALID_ARGUMENT", "window: 0:01:30 is not"),
        (f'productMetrics({RANGE}, window: "PT10M", slide: "PT3M") {{ views }}', "INVALID_ARGUMENT", "slide:"),
        (f"productMetrics({RANGE}, limit: -1) {{ views }}", "INVALID_ARGUMENT", "limit: must be from 0 to 50"),
        (f"productMetrics({YEAR}) {{ views }}", "TOO_LARGE", "windows start in it, the limit is 100"),
        (f"revenue({YEAR}) {{ total }}", "TOO_LARGE", "the limit is 100"),
        (f"sales({YEAR}, grain: HOUR) {{ revenue }}", "TOO_LARGE", "hours, the limit is 100"),
        (f'sales({RANGE}, grain: DAY, timeZone: "CET-1") {{ revenue }}', "INVALID_ARGUMENT", "timeZone: 'CET-1'"),
        (f"topProducts({RANGE}, by: VIEWS, first: 11) {{ views }}", "TOO_LARGE", "first: 11 is over the limit of 10"),
        ("sessions(first: -1) { nodes { id } }", "INVALID_ARGUMENT", "first: must not be negative"),
        ("sessions(first: 1, last: 1) { nodes { id } }", "INVALID_ARGUMENT", "not both"),
        ('sessions(after: "made-up") { nodes { id } }', "BAD_CURSOR", "after: not one that belongs here"),
        ('sessions(productId: "p") { nodes { id } }', "INVALID_ARGUMENT", "range: is needed"),
        ('session(id: "made-up") { id }', "BAD_CURSOR", "id: not one that belongs here"),
        (
            'rejections(range: {from: "2026-03-01T00:00:00", to: "2026-03-01T00:00:00"}) { rejected }',
            "INVALID_ARGUMENT",
            "must be before",
        ),
        (f'conversions({RANGE}, window: "PT1S") {{ clicks }}', "INVALID_ARGUMENT", "window: 0:00:01 is not"),
        (f"conversions({YEAR}) {{ clicks }}", "TOO_LARGE", "the limit is 100"),
        (f"funnel({RANGE}, steps: []) {{ isFinal }}", "INVALID_ARGUMENT", "steps: give 1 to 10, not 0"),
        (f"funnel({RANGE}, steps: [{'VIEW ' * 11}]) {{ isFinal }}", "INVALID_ARGUMENT", "steps: give 1 to 10, not 11"),
        (f"funnel({RANGE}, first: 11) {{ isFinal }}", "TOO_LARGE", "first: 11 is over the limit of 10"),
        (f"journeys({RANGE}, first: 10, depth: 0) {{ cut }}", "INVALID_ARGUMENT", "depth: must be from 1 to 50"),
        (f"journeys({RANGE}, first: 10, depth: 51) {{ cut }}", "INVALID_ARGUMENT", "depth: must be from 1 to 50"),
        (f"journeys({RANGE}, first: 11) {{ cut }}", "TOO_LARGE", "first: 11 is over the limit of 10"),
        ("users(first: 11) { nodes { id } }", "TOO_LARGE", "first: 11 is over the limit of 10"),
        (
            'users(lastSeen: {from: "2026-03-01T00:00:00", to: "2026-03-01T00:00:00"}) { nodes { id } }',
            "INVALID_ARGUMENT",
            "lastSeen: `from`",
        ),
        ("retention(weeks: 0) { users }", "INVALID_ARGUMENT", "weeks: must be from 1 to 104"),
        ("retention(weeks: 105) { users }", "INVALID_ARGUMENT", "weeks: must be from 1 to 104"),
        (f"topProducts({RANGE}, by: VIEWS) {{ views }}", "UNAVAILABLE", "not reachable"),
    ],
)
async def test_a_bad_argument_is_named_with_its_limit(root: str, code: str, message: str) -> None:
    (error,) = await errors_of("{" + root + "}")
    assert error["extensions"]["code"] == code
    assert message in error["message"]


@pytest.mark.parametrize("root", ["funnel", "journeys", "alsoViewed", "cartAbandonment", "topProducts", "revenue"])
def test_an_earlier_period_costs_as_much_again(root: str) -> None:
    hour = timedelta(hours=1)
    told = {"range": {"from": NOW, "to": NOW + hour}, "window": hour, "first": 30}
    once, twice = (rows_of(root, told | more, frozenset(), SETTINGS) for more in ({}, {"compareWith": "day_before"}))
    assert twice == 2 * once > 0


async def test_a_range_that_is_no_time_is_refused_before_anything_runs() -> None:
    (error,) = await errors_of('{ revenue(range: {from: "today", to: "2026-03-01T00:00:00"}) { total } }')
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert "DateTime" in error["message"]


def test_the_cause_of_our_own_error_stays_in_the_log() -> None:
    secret = "SELECT secret FROM users"
    with capture_logs() as logs:
        shown = describe(GraphQLError("boom", original_error=KeyError(secret)))
    assert secret not in str(shown.formatted)
    assert shown.extensions is not None
    assert shown.extensions["code"] == "INTERNAL"
    assert logs[0]["correlation_id"] == shown.extensions["correlationId"]
    assert secret in repr(logs[0]["exc_info"])


def test_an_error_for_the_client_keeps_its_words_and_has_a_code() -> None:
    shown = describe(GraphQLError("x", path=["sessions"], original_error=BadCursor("after", "no")))
    assert (shown.message, shown.path) == ("after: no", ["sessions"])
    assert shown.extensions == {"code": "BAD_CURSOR", "argument": "after"}


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (asyncpg.QueryCanceledError("statement timeout"), TookTooLong),
        (asyncpg.UndefinedTableError('relation "epochs" does not exist'), NotReady),
        (asyncpg.AdminShutdownError("terminating"), Unavailable),
        (asyncpg.CannotConnectNowError("starting up"), Unavailable),
        (asyncpg.TooManyConnectionsError("too many"), Unavailable),
        (ConnectionRefusedError(111, "refused"), Unavailable),
        (asyncpg.CharacterNotInRepertoireError("invalid byte sequence"), InvalidText),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), InvalidText),
        (TimeoutError(), Unavailable),
    ],
)
@pytest.mark.parametrize("wraps", [0, 2])
def test_database_errors_are_sorted_by_what_the_client_must_do(cause: Exception, kind: type, wraps: int) -> None:
    error: BaseException = cause
    for _ in itertools.repeat(None, wraps):
        outer = RuntimeError("wrapped")
        outer.__cause__ = error
        error = outer
    assert isinstance(from_database(error), kind)


def test_bad_sql_is_our_own_error() -> None:
    assert from_database(asyncpg.UndefinedColumnError("column x")) is None
