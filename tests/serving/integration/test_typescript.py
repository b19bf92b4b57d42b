"""A client in TypeScript, generated from the schema and the consumers' documents, compiled strictly and run."""

import json
import os
import shutil
import subprocess
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from serving.__main__ import SDL
from stack.settings import StackSettings
from tests import npm
from tests.serving.integration.conftest import NOW, Server

pytestmark = [pytest.mark.integration, npm.needs_node]

FOLDER = Path(__file__).resolve().parent / "node"
CONSUMERS = SDL.parent / "consumers"
STRICTLY = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck"]


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What came of it; the caller judges."""
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def compiled(stack_settings: StackSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client, generated and compiled; what does not fit the schema fails here, with its line."""
    folder = tmp_path_factory.mktemp("typescript")
    modules = npm.node_modules(FOLDER, stack_settings.cache)
    (folder / "node_modules").symlink_to(modules)
    shutil.copy(FOLDER / "consumers.mts", folder)
    documents = sorted(map(str, CONSUMERS.glob("*/*.graphql")))
    node = npm.NODE or "node"
    environment = {"NODE_PATH": str(modules)}
    generating = [node, str(FOLDER / "generate.cjs"), str(SDL), "generated.mts", *documents]
    for command in (generating, [str(modules / ".bin" / "tsc"), *STRICTLY, "consumers.mts"]):
        ran = run(command, folder, **environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_what_it_reads_is_what_the_api_answers(compiled: Path, server: Server) -> None:
    start, end = (NOW - timedelta(hours=3)).isoformat(), NOW.isoformat()
    command = [npm.NODE or "node", "consumers.mjs", f"{server.url}/graphql", start, end]
    ran = run(command, compiled)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    best, last, funnel = (
        server.data((CONSUMERS / name).read_text(), range={"from": start, "to": end})
        for name in ("warehouse-app/best-sellers.graphql", "warehouse-app/last-sessions.graphql",
                     "marketing-site/funnel.graphql")
    )  # fmt: skip
    sessions = last["sessions"]["nodes"]
    assert told["units"] == sum(product["units"] for product in best["topProducts"]) > 0
    assert told["spent"] == [session["revenue"] for session in sessions]
    assert all(Decimal(amount) > 0 for amount in told["spent"])
    assert told["newer"] == [session["id"] for session in sessions]
    assert len(told["older"]) == 10
    assert not {*told["older"]} & {*told["newer"]}
    assert told["sources"] == [segment["segment"] for segment in funnel["funnel"]["segments"]]


def test_a_field_that_goes_breaks_the_build_with_its_name(compiled: Path) -> None:
    generated = (compiled / "generated.mts").read_text()
    assert "units: number, " in generated
    (compiled / "generated.mts").write_text(generated.replace("units: number, ", "pieces: number, "))
    tsc = str(compiled / "node_modules" / ".bin" / "tsc")
    ran = run([tsc, *STRICTLY, "consumers.mts"], compiled)
    assert ran.returncode != 0
    assert "'units'" in ran.stdout
