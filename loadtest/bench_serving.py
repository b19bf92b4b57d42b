"""`millrace bench serving`: how fast GraphQL answers, kept and read, beside the same questions as bare SQL, in one run.

A serving part of the bench's own reads a schema of its own in the stack's Postgres. Each question is asked three ways:
the same request again and again (an answer that is kept), requests that all differ with nothing kept (read each time),
and hand-written SQL for them over as many connections as serving has. Then many subscribe to the same numbers, and how
long after a commit each is told of it is measured. The rates are of one machine at one time; what
lasts is how they compare.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import orjson
import psutil
import uvloop

from contracts.settings import PostgresSettings
from contracts.tables import NOTIFY_CHANNEL
from loadtest.bench_errors import BenchError
from loadtest.bench_postgraphile import DOCUMENTS, FUNCTIONS, ask, postgraphile
from loadtest.bench_server import answering, free_port
from loadtest.bench_serving_rows import END, NEXT_EPOCH, days_of, make_shop
from loadtest.bench_subscribers import follow
from loadtest.flood import flood, request_bytes
from loadtest.machine import describe_machine

Tell = Callable[[str], None]
_HOUR: Final = timedelta(hours=1)
_POOL: Final = 4
_VARIANTS: Final = 200
_EPOCHS: Final = 10
_HEADERS: Final = {"content-type": "application/json", "accept": "application/graphql-response+json"}


@dataclass(frozen=True)
class ServingPlan:
    """One run."""

    seconds: float
    """Of each measurement."""
    connections: int
    minutes: int
    """Rows of `product_minutes`."""
    sessions: int
    subscribers: int = 500
    """Who follow ten epochs."""
    beside_postgraphile: bool = False
    """Whether PostGraphile is asked the same."""


@dataclass(frozen=True)
class Question:
    """Something asked of a range, as GraphQL and as SQL with its two ends as parameters."""

    name: str
    document: str
    sql: str
    length: timedelta
    step: timedelta
    """Between the ranges that it is asked of: whole hours where the SQL reads those."""


QUESTIONS: Final = (
    Question(
        "top 10 of an hour",
        "query ($range: TimeRange!) { topProducts(range: $range, by: REVENUE, first: 10)"
        " { rank productId views purchases revenue } }",
        "SELECT product_id, sum(views)::bigint, sum(purchases)::bigint, sum(revenue) FROM product_hours"
        " WHERE hour >= $1 AND hour < $2 AND NOT bot GROUP BY 1 ORDER BY 4 DESC, 1 LIMIT 10",
        _HOUR,
        _HOUR,
    ),
    Question(
        "revenue, 5-minute windows of 3 hours",
        'query ($range: TimeRange!) { revenue(range: $range, window: "PT5M") { windowStart category count total } }',
        "SELECT date_bin('5 minutes', minute, 'epoch'), category, sum(purchases)::bigint, sum(revenue)"
        " FROM category_minutes WHERE minute >= $1 AND minute < $2 AND NOT bot GROUP BY 1, 2"
        " HAVING sum(purchases) > 0 ORDER BY 1, 2",
        3 * _HOUR,
        timedelta(minutes=5),
    ),
    Question(
        "sales by hour of a day",
        "query ($range: TimeRange!) { sales(range: $range, grain: HOUR) { windowStart revenue purchases units } }",
        "SELECT hour, sum(revenue), sum(purchases)::bigint, sum(units)::bigint FROM site_hours"
        " WHERE hour >= $1 AND hour < $2 AND NOT bot GROUP BY 1 ORDER BY 1",
        24 * _HOUR,
        timedelta(minutes=1),
    ),
    Question(
        "page of 50 sessions",
        "query ($range: TimeRange!) { sessions(range: $range, first: 50)"
        " { nodes { sessionId userId startedAt events purchases revenue } } }",
        "SELECT session_id, user_id, started_at, events, purchases, revenue FROM sessions"
        " WHERE started_at >= $1 AND started_at < $2 AND NOT bot ORDER BY started_at DESC, session_id DESC LIMIT 51",
        24 * _HOUR,
        timedelta(minutes=1),
    ),
)


def run_serving_bench(plan: ServingPlan, store: PostgresSettings, tell: Tell) -> dict[str, Any]:
    """Run it and give its figures. Raises BenchError."""
    return uvloop.run(_run(plan, store, tell))


async def _run(plan: ServingPlan, store: PostgresSettings, tell: Tell) -> dict[str, Any]:
    cases: dict[str, dict[str, Any]] = {}
    async with _shop(plan, store, tell) as own:
        for question in QUESTIONS:
            cases[question.name] = {}
        with _serving(own, kept=True) as (url, process):
            for question in QUESTIONS:
                tell(f"{question.name}, kept")
                cases[question.name]["kept"] = await _flooded(plan, url, process, _requests(plan, url, question, 1))
        with _serving(own, kept=False) as (url, process):
            for question in QUESTIONS:
                tell(f"{question.name}, read")
                cases[question.name]["read"] = await _flooded(plan, url, process, _requests(plan, url, question))
        for question in QUESTIONS:
            tell(f"{question.name}, bare SQL")
            bare = cases[question.name]["bare SQL"] = await _bare(plan, own, question)
            read = cases[question.name]["read"]
            read["of_bare_sql"] = round(read["requests_per_second"] / bare["requests_per_second"], 3)
        if plan.beside_postgraphile:
            await _beside_postgraphile(plan, own, cases, tell)
        with _serving(own, kept=True) as (url, process):
            tell(f"{plan.subscribers} subscribers")
            subscribers = await _followed(plan, own, url, process)
    rows = {"product_minutes": plan.minutes, "sessions": plan.sessions, "connections": plan.connections}
    return {"machine": describe_machine(), **rows, "cases": cases, "subscribers": subscribers}


async def _beside_postgraphile(
    plan: ServingPlan, own: PostgresSettings, cases: dict[str, dict[str, Any]], tell: Tell
) -> None:
    """What PostGraphile does, and how many times of it serving does when it keeps nothing."""
    connection = await _connect(own)
    await connection.execute(FUNCTIONS.read_text("utf-8"))
    await connection.close()
    tell("starting PostGraphile; the first time it is installed")
    with postgraphile(own, _POOL) as (url, process):
        for question in QUESTIONS:
            tell(f"{question.name}, PostGraphile")
            document = DOCUMENTS[question.name]
            ranges = [
                {"from": start.isoformat(), "to": end.isoformat()}
                for _, (start, end) in zip(range(_VARIANTS), _ranges(plan, question), strict=False)
            ]
            ask(url, document, ranges[0])
            bodies = [orjson.dumps({"query": document, "variables": told}) for told in ranges]
            requests = [request_bytes(url, "POST", _HEADERS, body) for body in bodies]
            found = cases[question.name]["PostGraphile"] = await _flooded(plan, url, process, requests)
            read = cases[question.name]["read"]
            read["times_postgraphile"] = round(read["requests_per_second"] / found["requests_per_second"], 2)


async def _followed(
    plan: ServingPlan, own: PostgresSettings, url: str, process: psutil.Process
) -> dict[str, int | float]:
    """Epochs as processing would commit them, without what they count: the numbers are read again all the same."""
    connection = await _connect(own)

    async def commit() -> int:
        async with connection.transaction():
            epoch: int = await connection.fetchval(NEXT_EPOCH)
            await connection.execute("SELECT pg_notify($1, $2)", NOTIFY_CHANNEL, str(epoch))
        return epoch

    try:
        return await follow(url, process, plan.subscribers, _EPOCHS, commit)
    finally:
        await connection.close()


def _ranges(plan: ServingPlan, question: Question) -> Iterator[tuple[datetime, datetime]]:
    """Ranges all over the shop's days, no two of the first ones alike: equal requests would share an answer.

    In a small shop some begin up to hours before it did.
    """
    known = int((timedelta(days=days_of(plan.minutes)) - question.length) / question.step) + 1
    different = known if question.step >= _HOUR else max(known, _VARIANTS)
    for number in count():
        start = END - question.length - (number * 101 % different) * question.step
        yield start, start + question.length


def _requests(plan: ServingPlan, url: str, question: Question, variants: int = _VARIANTS) -> list[bytes]:
    ranges = zip(range(variants), _ranges(plan, question), strict=False)
    bodies = [
        {"query": question.document, "variables": {"range": {"from": start.isoformat(), "to": end.isoformat()}}}
        for _, (start, end) in ranges
    ]
    return [request_bytes(url, "POST", _HEADERS, orjson.dumps(body)) for body in bodies]


async def _flooded(plan: ServingPlan, url: str, process: psutil.Process, requests: list[bytes]) -> dict[str, Any]:
    await flood(url, requests, min(8, plan.connections), min(1.0, plan.seconds))
    before = sum(process.cpu_times()[:2])
    result = await flood(url, requests, plan.connections, plan.seconds)
    used = sum(process.cpu_times()[:2]) - before
    if not result.latencies:
        raise BenchError(f"no answer came within {plan.seconds} s; measure for longer")
    figures = result.figures()
    if set(figures["statuses"]) != {"200"}:
        raise BenchError(f"it was answered {figures['statuses']}")
    figures["cpu_us_per_request"] = round(used / figures["requests"] * 1e6, 1)
    return figures


async def _bare(plan: ServingPlan, own: PostgresSettings, question: Question) -> dict[str, Any]:
    """The SQL over as many connections as serving has, one question after the other on each."""
    ranges = [each for _, each in zip(range(_VARIANTS), _ranges(plan, question), strict=False)]
    done, started, deadline = 0, time.perf_counter(), time.perf_counter() + plan.seconds

    async def ask(place: int) -> None:
        nonlocal done
        connection = await _connect(own)
        statement = await connection.prepare(question.sql)
        for number in count(place, _POOL):
            if time.perf_counter() > deadline:
                break
            await statement.fetch(*ranges[number % len(ranges)])
            done += 1
        await connection.close()

    await asyncio.gather(*(ask(place) for place in range(_POOL)))
    return {"requests": done, "requests_per_second": round(done / (time.perf_counter() - started), 1)}


async def _connect(own: PostgresSettings) -> Any:
    options = {"search_path": own.db_schema, "plan_cache_mode": "force_custom_plan", "jit": "off"}
    return await asyncpg.connect(own.url.get_secret_value(), server_settings=options)


@asynccontextmanager
async def _shop(plan: ServingPlan, store: PostgresSettings, tell: Tell) -> AsyncIterator[PostgresSettings]:
    """A schema with the shop in it; gone afterwards."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    own = store.model_copy(update={"db_schema": name})
    try:
        connection = await _connect(own)
    except (OSError, asyncpg.PostgresError) as error:
        raise BenchError("No Postgres there; `millrace up --only postgres --detach` starts one.") from error
    try:
        await connection.execute(f'CREATE SCHEMA "{name}"')
        tell(f"making {plan.minutes:,} product minutes and {plan.sessions:,} sessions")
        await make_shop(connection, plan.minutes, plan.sessions)
        yield own
    finally:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
        await connection.close()


@contextmanager
def _serving(own: PostgresSettings, *, kept: bool) -> Iterator[tuple[str, psutil.Process]]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        environment = os.environ | {
            "MILLRACE_HOME": folder,
            "MILLRACE_POSTGRES_URL": own.url.get_secret_value(),
            "MILLRACE_POSTGRES_DB_SCHEMA": own.db_schema,
            "MILLRACE_SERVING_PORT": str(port),
            "MILLRACE_SERVING_POOL_SIZE": str(_POOL),
            "MILLRACE_SERVING_POOL_TIMEOUT_SECONDS": "60",
            "MILLRACE_SERVING_STATEMENT_TIMEOUT_SECONDS": "60",
        }
        if not kept:
            environment["MILLRACE_SERVING_CACHE_BYTES"] = "0"
        log = Path(folder, "serving.log")
        with log.open("wb") as out:
            child = subprocess.Popen([sys.executable, "-m", "serving"], env=environment, stdout=out, stderr=out)
        url = f"http://127.0.0.1:{port}"
        with answering(
            child,
            lambda: httpx.get(f"{url}/health/ready", trust_env=False),
            lambda: f"serving did not start:\n{log.read_text()[-2000:]}",
        ) as process:
            yield f"{url}/graphql", process
