"""One stack for all end-to-end tests, started by the command a user types."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_base_port
from tests.e2e.millrace import Millrace
from tests.e2e.seeded_run import Run, make_run
from tests.processing.receivers import SECRET, Receiver, receiving, webhook_fault


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Where the stack's alerts go."""
    with receiving(webhook_fault) as found:
        yield found


@pytest.fixture(scope="session")
def millrace(receiver: Receiver) -> Iterator[Millrace]:
    """A stack without the simulator: tests send what they count."""
    home = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    home.chmod(0o755)
    (home / "millrace.toml").write_text(
        f'[watch.destinations.local]\nkind = "webhook"\nurl = "{receiver.url()}"\nsecret = "{SECRET}"\n'
        "allow_private = true\n"
    )
    stack = Millrace(home, free_base_port())
    try:
        stack.command("up", "--detach", "--no-demo", timeout=400)
        yield stack
    finally:
        stack.command("down", check=False)
        stack.http.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def run(millrace: Millrace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run for all tests that compare what is served with what was sent."""
    return make_run(millrace, tmp_path_factory.mktemp("run") / "client.jsonl")
