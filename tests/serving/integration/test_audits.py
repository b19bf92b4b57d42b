"""The audits of the npm package graphql-http, as they are, against the real server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from stack.settings import StackSettings
from tests import npm
from tests.serving.integration.conftest import Server

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).resolve().parent / "node"


@npm.needs_node
def test_every_audit_passes(server: Server, stack_settings: StackSettings) -> None:
    environment = {**os.environ, "NODE_PATH": str(npm.node_modules(FOLDER, stack_settings.cache))}
    command = [npm.NODE or "node", str(FOLDER / "audits.cjs"), f"{server.url}/graphql"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    audits = json.loads(ran.stdout)
    assert len(audits) == 61, "what version 1.23.1 of the package has"
    assert [audit for audit in audits if audit["status"] != "ok"] == []
