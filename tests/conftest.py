"""The real parts that integration tests share: one broker and one Postgres per run, started when first asked for.

Tests give their topics, schemas and folders random names, so that sharing is safe.
"""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings
from psutil import virtual_memory

from stack import jars, kafka, postgres, process
from stack.java import find_java, for_spark
from stack.layout import Layout
from stack.orphans import stop_orphans
from stack.part import Launch, Part, Report
from stack.settings import PORT_OFFSETS, StackSettings
from stack.state import PartState, State, read_state, write_state
from tests.examples import examples

_HOME_PREFIX = "millrace-test-"

# A time per example says something about the machine, not about the code.
settings.register_profile("millrace", deadline=None, max_examples=examples(40))
settings.load_profile("millrace")

# A test's JVM lives for seconds: the second compiler would spend more of them than it saves, as would the check of
# class files, which come with checksums (decision 24).
os.environ.setdefault(
    "JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)


_IN_MEMORY = "/dev/shm"
_PLENTY = 6 * 2**30
"""Bytes: of what is written before a change is, Postgres keeps a gigabyte for each worker; all else is less."""


def _keep_temporary_files_in_memory() -> None:
    """If there is plenty, and programs may be run from there.

    Tests make, cut and remove files by the thousand: waiting for a disk's journal took half of the time of epochs and
    verifications. `TMPDIR` names another place.
    """
    with suppress(OSError):
        there = os.statvfs(_IN_MEMORY)
        free = min(there.f_bavail * there.f_frsize, virtual_memory().available)
        if free > _PLENTY and not there.f_flag & os.ST_NOEXEC and os.access(_IN_MEMORY, os.W_OK):
            os.environ.setdefault("TMPDIR", _IN_MEMORY)
            tempfile.tempdir = None  # asked for before, by a plugin perhaps


_keep_temporary_files_in_memory()

_LONGEST_FIRST = (
    "processing/integration/test_end_to_end.py",
    "processing/integration/test_crashes.py",
    "processing/integration/test_erase.py",
    "stack/integration/test_lifecycle.py",
    "processing/integration/test_rebuild.py",
    "ingestion/integration/test_faults.py",
    "ingestion/integration/test_accepted_everywhere.py",
    "loadtest/integration/test_bench_serving.py",
    "serving/integration/test_page_views.py",
    "processing/integration/test_verify.py",
)
"""Files of which one at the end would leave the other workers without work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first; all others stay in their order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def free_base_port(above: int = 0) -> int:
    """First of as many free consecutive ports as a stack needs, below the usual ephemeral range.

    A free port is not held until its part starts, so workers of one run look in ranges of their own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    first = 20000 + 3000 * worker
    for base in range(max(first + os.getpid() % 1500, above + 10), first + 3000, 10):
        with suppress(OSError):
            for offset in PORT_OFFSETS.values():
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
            return base
    raise RuntimeError("no seven free ports in a row")


@contextmanager
def running(part: Part, layout: Layout, timeout_seconds: float = 60.0) -> Iterator[Part]:
    """Run one part without a supervisor, from ready to stopped."""
    launch = part.prepare(lambda _: None)
    layout.logs.mkdir(parents=True, exist_ok=True)
    log = layout.log(part.name)
    child = process.start(launch, log, os.environ)
    identity = process.ProcessId.of(child.pid)
    assert identity is not None
    state = read_state(layout.state)
    assert state is not None
    write_state(layout.state, state.with_part(PartState(part.name, part.port, process=identity)))
    try:
        deadline = time.monotonic() + timeout_seconds
        while (reason := part.probe()) is not None:
            assert child.poll() is None, f"{part.name} ended: {log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"{part.name}: {reason}\n{log.read_text()[-4000:]}"
            time.sleep(0.05)
        part.complete()
        yield part
    finally:
        process.stop(identity, part.stop_signal, 20.0)
        child.wait(5)


def _hurried(part: Part) -> Part:
    """Postgres that leaves the disk to the kernel: nobody pulls the plug on a test run."""

    def prepare(report: Report) -> Launch:
        launch = part.prepare(report)
        return replace(launch, command=(*launch.command, "-c", "fsync=off", "-c", "full_page_writes=off"))

    return replace(part, prepare=prepare, stop_signal=signal.SIGQUIT)


def end_stack(home: Path) -> None:
    """Kill what runs in a home and remove it: `down` takes ten seconds to end in good order what nobody will read."""
    if (state := read_state(home / "state.json")) is not None:
        process.stop(state.supervisor, signal.SIGKILL, 10.0)
        parts = read_state(home / "state.json") or state  # which may have started one meanwhile
        stop_orphans(parts, dict.fromkeys(parts.parts, signal.SIGKILL) | {"postgres": signal.SIGQUIT}, 10.0)
    shutil.rmtree(home, ignore_errors=True)


def _clear_killed_runs() -> None:
    """Stop what test runs that were killed have left, as `up` does for a killed supervisor."""
    for home in Path(tempfile.gettempdir()).glob(f"{_HOME_PREFIX}*"):
        state = read_state(home / "state.json")
        if state is not None and not state.is_supervised():
            stop_orphans(state, {"postgres": signal.SIGINT}, 10.0)
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack_layout() -> Iterator[Layout]:
    """A home for the shared parts. Not `tmp_path`, which other accounts cannot reach: root's Postgres runs as one."""
    _clear_killed_runs()
    home = Path(tempfile.mkdtemp(prefix=_HOME_PREFIX))
    home.chmod(0o755)
    layout = Layout(home)
    own = process.ProcessId.of(os.getpid())
    assert own is not None
    write_state(layout.state, State(uuid.uuid4().hex, own))
    yield layout
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack_settings() -> StackSettings:
    """Settings of the shared parts: free ports, small memory."""
    return StackSettings(base_port=free_base_port(), kafka_heap_mb=384, postgres_shared_buffers_mb=64)


@pytest.fixture(scope="session")
def kafka_bootstrap(stack_settings: StackSettings, stack_layout: Layout) -> Iterator[str]:
    """`host:port` of a real broker without topics; make yours with `stack.kafka.create_topics(..., prefix=...)`."""
    part = replace(kafka.part(stack_settings, stack_layout, dict(os.environ), ()), stop_signal=signal.SIGKILL)
    with running(part, stack_layout):
        yield f"127.0.0.1:{part.port}"


@pytest.fixture(scope="session")
def postgres_server(stack_settings: StackSettings, stack_layout: Layout) -> Iterator[str]:
    """libpq URL of the first database of a real server."""
    with running(_hurried(postgres.part(stack_settings, stack_layout)), stack_layout):
        yield postgres.url(stack_settings, stack_layout)


def new_database(postgres_server: str) -> str:
    """libpq URL of one more database, empty.

    ADBC reads all of a database's types and columns whenever it connects: among the tables of fifty tests that takes
    it two seconds, among those of one a tenth.
    """
    name = f"t{uuid.uuid4().hex}"
    execute(postgres_server, f'CREATE DATABASE "{name}"')
    return f"{postgres_server.rpartition('/')[0]}/{name}"


def execute(database_url: str, statement: str) -> None:
    """Run a statement on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> str:
    """libpq URL of an empty database of this file's own; use a schema of your own in it."""
    return new_database(postgres_server)


@pytest.fixture(scope="session")
def java_home(stack_settings: StackSettings, stack_layout: Layout) -> Path:
    """What JAVA_HOME must be for Spark to start."""
    return for_spark(find_java(os.environ, stack_settings.java_home), stack_layout.java)


@pytest.fixture(scope="session")
def spark_jars(stack_settings: StackSettings) -> Path:
    """Folder of the jars to put on Spark's class path."""
    java = find_java(os.environ, stack_settings.java_home)
    return jars.ensure("spark", stack_settings.cache, java, lambda _: None, stack_settings.ivy_settings)
