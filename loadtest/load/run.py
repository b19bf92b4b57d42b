"""A load run: Locust in a process of its own, the freshness probe beside it, and what came of both."""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson
from pydantic import SecretStr

from contracts.settings import NO_KEY
from loadtest.client_log import ClientLog
from loadtest.gateway_client import GatewayClient, http_client
from loadtest.graphql import GraphqlClient, GraphqlError
from loadtest.load.results import limits
from loadtest.load.workload import Workload
from loadtest.probe import Probe

_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_REACHED: Final = 0.98
"""Share of the asked events from which the rate counts as reached."""
SENT: Final = "sent.jsonl"
"""In a run's folder: what Locust's users sent (`loadtest.load.sent_log`)."""
MARKERS: Final = "markers.jsonl"
"""In a run's folder: what the probe sent (`loadtest.client_log`)."""


class LoadError(Exception):
    """The run could not be made: a part is away, or Locust itself failed."""


@dataclass(frozen=True)
class LoadPlan:
    """One run."""

    name: str
    workload: Workload
    seed: int
    gateway_url: str
    graphql_url: str
    write_key: SecretStr
    folder: Path
    """Exists; what was sent is noted here."""
    web_port: int | None = None
    """Serve Locust's own page here while the load runs."""
    read_key: SecretStr = NO_KEY
    """Sent to GraphQL; empty sends none."""


async def run_load(plan: LoadPlan) -> dict[str, Any]:
    """Run it and give its figures. Raises LoadError."""
    async with http_client(plan.gateway_url, plan.write_key) as to_gateway, httpx.AsyncClient(trust_env=False) as http:
        graphql = GraphqlClient(http, plan.graphql_url, plan.read_key)
        try:
            await graphql.epoch()
        except GraphqlError as error:
            raise LoadError(f"GraphQL is not there: {error}") from error
        with ClientLog(plan.folder / MARKERS) as log:
            probe = Probe(GatewayClient(to_gateway, import_history=False), graphql, log)
            async with asyncio.TaskGroup() as tasks:
                locust = tasks.create_task(_locust(plan))
                freshness = tasks.create_task(probe.run(plan.workload.seconds))
    figures = {
        "profile": plan.name,
        "seed": plan.seed,
        "asked_events": round(plan.workload.events),
        **locust.result(),
        "freshness": freshness.result().figures(),
    }
    figures["rate_reached"] = figures["events"] >= _REACHED * plan.workload.events
    figures["limits"] = limits(figures)
    return figures


def problems(figures: dict[str, Any]) -> list[str]:
    """What was wrong with a run, in sentences; rate and limits are not among it, they are findings."""
    found = [f"{count} requests: {problem}" for problem, count in figures["errors"].items()]
    if not figures["events"]:
        found.append("no event was acknowledged")
    for fault in ("refused", "missing", "never_told"):
        if figures["freshness"][fault]:
            found.append(f"{figures['freshness'][fault]} freshness markers {fault.replace('_', ' ')}")
    return found


async def _locust(plan: LoadPlan) -> dict[str, Any]:
    """Locust patches the whole process for gevent, so it gets one of its own. Raises LoadError."""
    results, output = plan.folder / "results.json", plan.folder / "locust.log"
    graphql = urlsplit(plan.graphql_url)
    command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE)]
    # No --host: it would take the place of the users' own, and readers have another than senders.
    command += ["--gateway-url", plan.gateway_url, "--users", str(plan.workload.users)]
    command += ["--spawn-rate", str(plan.workload.users), "--run-time", f"{plan.workload.seconds + 2:.0f}s"]
    command += ["--stop-timeout", "30", "--exit-code-on-error", "0", "--only-summary", "--loglevel", "WARNING"]
    command += ["--workload-json", plan.workload.to_json(), "--seed", str(plan.seed)]
    command += ["--graphql-host", f"{graphql.scheme}://{graphql.netloc}", "--run-folder", str(plan.folder)]
    if plan.web_port is None:
        command.append("--headless")
    else:
        command += ["--web-host", "127.0.0.1", "--web-port", str(plan.web_port), "--autostart", "--autoquit", "1"]
    root = str(_LOCUSTFILE.parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    # Keys go by environment: a command line can be read by every user of the machine.
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "MILLRACE_SIMULATOR_WRITE_KEY": plan.write_key.get_secret_value(),
        "MILLRACE_GRAPHQL_READ_KEY": plan.read_key.get_secret_value(),
    }
    with output.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=environment)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
    if code or not results.exists():
        tail = output.read_text("utf-8", "replace")[-2000:]
        raise LoadError(f"Locust ended with {code}:\n{tail}")
    figures: dict[str, Any] = orjson.loads(results.read_bytes())
    return figures
