"""One stack for all end-to-end tests, started by the command a user types; who needs one undisturbed starts another."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import end_stack, free_base_port
from tests.e2e.millrace import Millrace
from tests.e2e.seeded_run import Run, make_run
from tests.processing.receivers import SECRET, Receiver, receiving, webhook_fault


@contextmanager
def started(receiver: Receiver, upkeep_seconds: int = 40) -> Iterator[Millrace]:
    """A stack without the simulator, whose alerts go to the receiver.

    `upkeep_seconds` are between two turns of the same work beside its stream, each of which takes the processor
    seconds; 0 for none.
    """
    home = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    home.chmod(0o755)
    (home / "millrace.toml").write_text(
        f'[watch.destinations.local]\nkind = "webhook"\nurl = "{receiver.url()}"\nsecret = "{SECRET}"\n'
        "allow_private = true\n"
    )
    stack = Millrace(home, free_base_port(), upkeep_seconds)
    try:
        stack.command("up", "--detach", "--no-demo", timeout=400)
        yield stack
    finally:
        stack.http.close()
        end_stack(home)


_shared = ExitStack()


@pytest.fixture(scope="session")
def millrace() -> Iterator[Millrace]:
    """The stack of nearly all tests: they send what they count."""
    with _shared:
        yield _shared.enter_context(started(_shared.enter_context(receiving(webhook_fault))))


def end_shared() -> None:
    """End that stack, if it runs, for the tests of the last file: it takes time of the processor while nobody asks."""
    _shared.close()


@pytest.fixture(scope="session")
def run(millrace: Millrace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run for all tests that compare what is served with what was sent."""
    return make_run(millrace, tmp_path_factory.mktemp("run") / "client.jsonl")
