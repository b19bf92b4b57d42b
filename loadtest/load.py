"""A load run: Locust in a process of its own, the freshness probe beside it, and the verdict of the books."""

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import structlog
from pydantic import SecretStr

from loadtest.gateway_client import GatewayClient, http_client
from loadtest.graphql import GraphqlClient, GraphqlError
from loadtest.machine import describe_machine
from loadtest.probe import Probe
from loadtest.workload import Workload

log = structlog.get_logger(__name__)

_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_REACHED: Final = 0.98
"""Share of the asked rate from which it counts as reached."""
_BOOKS_SECONDS: Final = 30


class LoadError(Exception):
    """The run could not be made: a part is away, or Locust itself failed."""


@dataclass(frozen=True)
class LoadPlan:
    """One run."""

    rate: float
    """Events per second."""
    seconds: float
    workload_name: str
    workload: Workload
    gateway_url: str
    graphql_url: str
    write_key: SecretStr


async def run_load(plan: LoadPlan) -> dict[str, Any]:
    """Run it and give its figures; `ok` is whether all went well. Raises LoadError."""
    async with http_client(plan.gateway_url, plan.write_key) as to_gateway, httpx.AsyncClient(trust_env=False) as http:
        graphql = GraphqlClient(http, plan.graphql_url)
        try:
            await graphql.epoch()
        except GraphqlError as error:
            raise LoadError(f"GraphQL is not there: {error}") from error
        probe = Probe(GatewayClient(to_gateway, import_history=False), graphql)
        async with asyncio.TaskGroup() as tasks:
            locust = tasks.create_task(_locust(plan))
            freshness = tasks.create_task(probe.run(plan.seconds))
        books = await _books(graphql)
    figures: dict[str, Any] = {
        "ok": False,
        "machine": describe_machine(),
        "workload": plan.workload_name,
        **locust.result(),
        "freshness": freshness.result().figures(),
        "books": books,
    }
    figures["rate_reached"] = figures["achieved_per_second"] >= _REACHED * plan.rate
    figures["ok"] = not problems(figures)
    return figures


def problems(figures: dict[str, Any]) -> list[str]:
    """What was wrong with a run, in sentences; the rate is not among it, it is a finding."""
    found = [f"{count} requests: {problem}" for problem, count in figures["errors"].items()]
    if not figures["events"]:
        found.append("no event was acknowledged")
    for fault in ("refused", "missing"):
        if figures["freshness"][fault]:
            found.append(f"{figures['freshness'][fault]} freshness markers {fault}")
    books = figures["books"]
    if not books or not books["close"]:
        found.append(f"the books do not close: {books}")
    return found


async def _locust(plan: LoadPlan) -> dict[str, Any]:
    """Locust patches the whole process for gevent, so it gets one of its own. Raises LoadError."""
    users = sum(share.users for share in plan.workload.shares().values())
    with tempfile.TemporaryDirectory(prefix="millrace-load-") as folder:
        results, output = Path(folder) / "results.json", Path(folder) / "locust.log"
        command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--headless"]
        command += ["--host", plan.gateway_url, "--users", str(users), "--spawn-rate", str(users)]
        command += ["--run-time", f"{plan.seconds:.0f}s", "--stop-timeout", "30", "--exit-code-on-error", "0"]
        command += ["--events-per-second", str(plan.rate), "--workload", plan.workload_name]
        command += ["--result-file", str(results), "--only-summary", "--loglevel", "WARNING"]
        root = str(_LOCUSTFILE.parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        # The key goes by environment: a command line can be read by every user of the machine.
        key = plan.write_key.get_secret_value()
        environment = {**os.environ, "PYTHONPATH": path, "MILLRACE_SIMULATOR_WRITE_KEY": key}
        with output.open("wb") as out:
            process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=environment)
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                await process.wait()
                raise
        if code or not results.exists():
            tail = output.read_text("utf-8", "replace")[-2000:]
            raise LoadError(f"Locust ended with {code}:\n{tail}")
        figures: dict[str, Any] = orjson.loads(results.read_bytes())
        return figures


async def _books(graphql: GraphqlClient) -> dict[str, Any] | None:
    """The books once they close, or as they are when the time for that is over."""
    books: dict[str, Any] | None = None
    for _ in range(_BOOKS_SECONDS):
        try:
            books = await graphql.books()
        except GraphqlError as error:
            log.warning("no answer", error=str(error))
        if books and books["close"]:
            break
        await asyncio.sleep(1)
    return books
