"""Drills are data in order; faults do to processes what they say, and a fault that finds nothing to break says so."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import psutil
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from contracts.settings import KafkaSettings, PostgresSettings
from loadtest.audit.audit import Audit
from loadtest.audit.checks import Check
from loadtest.cli import app
from loadtest.drill.catalogue import BY_NAME, DISKS, DRILLS, SETS, SHORT, Stack, Strike
from loadtest.drill.faults import AtFailpoint, ClockStep, CutOff, Fault, Freeze, FullDisk, Kill, ReadOnly
from loadtest.drill.faults.poison import Poison, poison
from loadtest.drill.ground import DrillError, Ground
from loadtest.drill.own_stack import _disks, _own_clock
from loadtest.drill.readiness import not_ready
from loadtest.drill.resources import Resources, grown, resources
from loadtest.drill.run import Outcome, _beside, _recovered, _strike
from loadtest.drill.traffic import traffic
from loadtest.probe import Freshness, Probe
from processing import failpoints

pytestmark = pytest.mark.unit

WITH_A_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


def test_drills_have_names_of_their_own_and_break_something() -> None:
    assert len(BY_NAME) == len(DRILLS)
    assert all(drill.strikes for drill in (*DRILLS, SHORT))
    assert not BY_NAME.keys() & {*SETS, SHORT.name}


def test_every_failpoint_of_an_epoch_is_drilled() -> None:
    drilled = {
        strike.fault.place.partition("@")[0].partition(":")[0]
        for drill in DRILLS
        for strike in drill.strikes
        if isinstance(strike.fault, AtFailpoint)
    }
    assert drilled == {value for name, value in vars(failpoints).items() if name.isupper() and isinstance(value, str)}


def test_what_ci_runs_needs_no_stack_of_its_own() -> None:
    assert not SHORT.links
    assert SHORT.stack is Stack.PLAIN


def test_the_set_of_all_needs_neither_root_nor_minutes() -> None:
    assert all(BY_NAME[name].stack is Stack.PLAIN for name in SETS["all"])
    only_long = set(SETS["long"]) - set(SETS["all"])
    assert only_long >= {"disk-full", "delta-read-only", "clock-ahead", "broker-away-5min", "duplicates-far"}


def test_the_disk_of_every_folder_that_a_part_writes_to_is_filled(tmp_path: Path) -> None:
    filled = {
        strike.fault.folder
        for drill in DRILLS
        for strike in drill.strikes
        if drill.stack is Stack.SMALL_DISKS and isinstance(strike.fault, FullDisk)
    }
    assert filled == set(DISKS)
    assert {disk.name for disk in _disks(tmp_path, Stack.SMALL_DISKS)} == filled
    assert _disks(tmp_path, Stack.SMALL_DISK) == [tmp_path]
    assert _disks(tmp_path, Stack.PLAIN) == []


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A stack of one part, whose process has a child."""
    with subprocess.Popen([sys.executable, "-c", WITH_A_CHILD]) as part:
        told = {"parts": {"part": {"process": {"pid": part.pid, "born": ""}}, "gone": {"process": None}}}
        (tmp_path / "state.json").write_text(json.dumps(told))
        ground = Ground(tmp_path, KafkaSettings(), PostgresSettings())
        deadline = time.monotonic() + 20
        while len(ground.processes("part")) < 2:
            assert time.monotonic() < deadline
        yield ground
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(part.pid).children(recursive=True):
                process.kill()
        part.kill()


async def test_a_kill_ends_the_leader_or_only_a_worker(ground: Ground) -> None:
    leader, worker = ground.processes("part")
    await Kill("part", worker=True).strike(ground)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    leader.wait(20)  # it has nothing to wait for any more


async def test_a_frozen_part_stands_still_and_goes_on(ground: Ground) -> None:
    freezing = asyncio.create_task(Freeze("part", 0.3).strike(ground))
    deadline = time.monotonic() + 10
    while {process.status() for process in ground.processes("part")} != {psutil.STATUS_STOPPED}:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await freezing
    assert psutil.STATUS_STOPPED not in {process.status() for process in ground.processes("part")}


async def test_a_part_goes_on_although_the_drill_is_cancelled(ground: Ground) -> None:
    freezing = asyncio.create_task(Freeze("part", 60).strike(ground))
    await asyncio.sleep(0.1)
    freezing.cancel()
    await asyncio.gather(freezing, return_exceptions=True)
    assert psutil.STATUS_STOPPED not in {process.status() for process in ground.processes("part")}


@pytest.mark.parametrize(
    "fault",
    [Kill("gone"), Kill("unknown"), CutOff("part", 1), FullDisk(1), FullDisk(1, "delta"), ReadOnly("delta", 1)],
)
async def test_where_there_is_nothing_to_break_the_fault_says_so(ground: Ground, fault: Fault) -> None:
    with pytest.raises(DrillError):
        await fault.strike(ground)
    assert not (ground.home / "filler").exists()


async def test_links_go_on_while_a_disk_is_filled(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, filled = threading.Event(), []
    monkeypatch.setattr("loadtest.drill.faults.full_disk._is_small_disk", lambda _: True)
    monkeypatch.setattr("loadtest.drill.faults.full_disk._fill", lambda _: filled.append(heard.wait(10)))
    async with _beside(FullDisk(0.1).strike(ground)) as strike:
        await asyncio.sleep(0.1)
        heard.set()
        await strike
    assert filled == [True]
    assert not (ground.home / "filler").exists()


def test_poison_is_the_same_for_the_same_seed_and_of_every_kind() -> None:
    dice, again = Random(3), Random(3)
    records = [poison(number, dice) for number in range(9)]
    assert [record[:5] for record in records] == [poison(number, again)[:5] for number in range(9)]
    assert len(set(records)) == 9
    assert b"" in records
    assert max(map(len, records)) > 1_000_000


async def test_poison_of_every_kind_is_small_enough_to_be_sent(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.drill.faults.poison._ANSWER_SECONDS", 0.0)
    with pytest.raises(DrillError, match="9 records of poison were not taken"):  # there is no broker; all wait for it
        await Poison(9).strike(replace(ground, kafka=KafkaSettings(bootstrap="127.0.0.1:1")))


def test_a_hot_user_does_most_of_the_events() -> None:
    stream = traffic(BY_NAME["skew"], seed=1, rate=100, start_ms=0)
    users = [next(stream).body["user_id"] for _ in range(300)]
    assert 0.8 < users.count("drill-hot") / len(users) < 1


def test_recovery_is_the_first_sight_of_a_marker_sent_after_the_strike() -> None:
    freshness = Freshness(seen=[(1.0, 30.0), (10.0, 9.0), (12.0, 3.0), (13.0, 9.0)])
    assert _recovered(freshness, 5.0) == pytest.approx(10.0)  # sent at 12, seen at 15
    assert _recovered(freshness, 20.0) is None


def _outcome(**changes: object) -> Outcome:
    lost = Check("nothing is lost", "", 0, "10")
    given = {
        "drill": "d", "seed": 1, "seconds": 9.0, "recoveries": [("kill", 2.0)], "worst_freshness": 3.0, "errors": {},
        "unexpected": {}, "failed": 0, "problem": None, "audit": Audit([lost], 10, 0, 0),
    }  # fmt: skip
    return Outcome(**{**given, **changes})  # type: ignore[arg-type]


def _held(memory_mib: int = 100, open_files: int = 30) -> Resources:
    found = {"memory_mib": {"gateway": memory_mib}, "open_files": {"gateway": open_files}}
    return found | {"delta_files": {"events": 3}, "checkpoint_files": {"checkpoint": 9}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recoveries": [("kill", None)]}, "not recovered from kill"),
        ({"unexpected": {"valid: due accepted": 3}}, "3 events: valid: due accepted"),
        ({"failed": 2}, "2 events had no verdict in the end"),
        ({"problem": "no COPY was met"}, "no COPY was met"),
        ({"unready": ["serving is not ready: …"]}, "serving is not ready"),
        (
            {"resources": {"before": _held(open_files=30), "after": _held(open_files=700)}},
            "open files of gateway: 700, and 30 before the first fault",
        ),
        (
            {"audit": Audit([Check("nothing is lost", "", 4, "10", [{"event_id": "e"}])], 10, 0, 0)},
            "nothing is lost: broken 4",
        ),
    ],
)
def test_a_drill_fails_by_whatever_is_wrong(changes: dict[str, object], sentence: str) -> None:
    assert _outcome().passed
    outcome = _outcome(**changes)
    assert not outcome.passed
    assert outcome.problems()[0].startswith(sentence)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["drill"], "name drills"),
        (["drill", "no-such"], "no such drill: no-such"),
        (["drill", "--here", "broker-slow", "disk-full"], "broker-slow, disk-full: only on a stack made for it"),
    ],
)
def test_a_wrong_call_is_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_the_list_names_every_drill_and_what_it_needs() -> None:
    result = CliRunner().invoke(app, ["drill", "--list"])
    assert result.exit_code == 0
    assert all(drill.name in result.output for drill in (*DRILLS, SHORT))


BY_ITS_CLOCK = """
import time
from confluent_kafka import Producer
producer = Producer({"log_level": 0})
while input():
    producer.poll(0.05)  # waits by the wall clock
    print(time.time(), flush=True)
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="the clock is a library in C, and without cc the drill says so")
async def test_a_clock_of_its_own_jumps_and_what_waits_by_it_goes_on(ground: Ground) -> None:
    environment = os.environ | _own_clock(ground.home)
    pipe = asyncio.subprocess.PIPE
    part = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BY_ITS_CLOCK, env=environment, stdin=pipe, stdout=pipe
    )
    asked, told = part.stdin, part.stdout
    assert asked
    assert told

    async def seconds_off() -> int:
        asked.write(b"go\n")
        return round((float(await asyncio.wait_for(told.readline(), 30)) - time.time()) / 60) * 60

    assert await seconds_off() == 0
    for off in (3600, -3600):
        async with _beside(ClockStep(off, 0.5).strike(ground)) as strike:
            await asyncio.sleep(0.1)
            assert await seconds_off() == off
            await strike
        assert await seconds_off() == 0
    asked.close()
    await part.wait()


async def test_a_clock_that_is_not_there_can_not_jump(ground: Ground) -> None:
    with pytest.raises(DrillError, match="no clock of its own"):
        await ClockStep(60, 0).strike(ground)


async def test_what_runs_beside_a_drill_ends_with_it_however_it_ends() -> None:
    ended = asyncio.Event()

    async def send() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    async def told() -> int:
        return 7

    async def broken_off() -> None:
        async with _beside(send()):
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(broken_off(), 10)
    assert ended.is_set()
    async with _beside(told()) as task:
        assert await task == 7


async def test_a_strike_that_has_a_bug_fails_its_drill_and_ends_no_other(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        async def strike(self, ground: Ground) -> None:
            raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("loadtest.drill.run._QUIET_SECONDS", 0.0)
    probe = cast("Probe", SimpleNamespace(freshness=Freshness(seen=[(0.0, 1.0)])))
    strikes = [Strike(Broken(), 0.0), Strike(Broken(), 0.0)]
    assert await _strike(strikes, ground, probe) == ([], "ZeroDivisionError: by nothing")


@pytest.mark.parametrize("kind", [DrillError, RuntimeError])
def test_a_run_that_ends_early_reports_the_drills_that_have_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    async def interrupted(_chosen: object, _plan: object, outcomes: list[Outcome]) -> None:
        outcomes.append(_outcome(drill="poison"))
        raise kind("the stack to be broken did not start")

    monkeypatch.setattr("loadtest.drill.cli._run", interrupted)
    result = CliRunner().invoke(app, ["drill", "poison", "skew", "--report", str(tmp_path / "report")])
    assert result.exit_code == 1
    assert "did not start. 1 of 2 drills have a verdict" in " ".join(result.stderr.split())
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert ([drill["drill"] for drill in told["drills"]], told["passed"]) == (["poison"], False)
    assert "| poison |" in (tmp_path / "report" / "report.md").read_text()


def test_what_a_stack_holds_is_bounded_by_what_it_held_before(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grown(_held(), _held(memory_mib=712, open_files=560)) == []
    assert grown(_held(), _held(memory_mib=713)) == ["memory mib of gateway: 713, and 100 before the first fault"]
    assert grown({figure: {} for figure in _held()}, _held(open_files=501)) == [
        "open files of gateway: 501, and 0 before the first fault"
    ]
    monkeypatch.setenv("MILLRACE_LOG_PATH", str(ground.home / "delta"))
    monkeypatch.setattr("loadtest.drill.resources._PARTS", ("part", "gone"))
    write_deltalake(str(ground.home / "delta" / "gold" / "days"), pa.table({"day": [1]}))
    (ground.home / "checkpoint").mkdir()
    (ground.home / "checkpoint" / "offsets").touch()
    found = resources(ground)
    assert (found["delta_files"], found["checkpoint_files"]) == ({"days": 1}, {"checkpoint": 1})
    assert found["memory_mib"].keys() == found["open_files"].keys() == {"part"}
    assert min(found["memory_mib"]["part"], found["open_files"]["part"]) > 1


class _Parts(BaseHTTPRequestHandler):
    """Gateway, serving and processing in one: ready or not, and so many records behind."""

    ready, behind = True, "0"

    def do_GET(self) -> None:
        self.send_response(200 if self.ready or self.path == "/metrics" else 503)
        self.end_headers()
        metrics = "".join(f'millrace_processing_behind_records{{topic="t{n}"}} {self.behind}\n' for n in range(2))
        self.wfile.write(metrics.encode() if self.path == "/metrics" else b"waiting for the broker")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_a_stack_that_is_behind_or_not_ready_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Parts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        parts = {name: {"process": None, "port": server.server_port} for name in ("gateway", "processing", "serving")}
        (tmp_path / "state.json").write_text(json.dumps({"parts": parts}))
        ground = Ground(tmp_path, KafkaSettings(), PostgresSettings())
        assert await not_ready(ground, 5) == []
        monkeypatch.setattr(_Parts, "behind", "20")
        assert await not_ready(ground, 0) == ["processing says that it is 40 records behind"]
        monkeypatch.setattr(_Parts, "behind", "NaN")
        assert await not_ready(ground, 0) == ["processing says that it is an unknown number of records behind"]
        monkeypatch.setattr(_Parts, "ready", False)
        assert await not_ready(ground, 0) == [
            f"{part} is not ready: waiting for the broker" for part in ("gateway", "processing", "serving")
        ]
        server.shutdown()
    assert len(await not_ready(ground, 0)) == 3
