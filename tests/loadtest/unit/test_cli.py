"""The command line: what is asked wrongly is answered with 2 and a sentence, a part that is away with 1."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtest import bench_cli
from loadtest.cli import app
from loadtest.load import cli as load_cli
from loadtest.load.run import problems

pytestmark = pytest.mark.unit

NOBODY = "http://127.0.0.1:7389"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "--mix", "eighty"], "--mix is 'natural' or"),
        (["simulate", "--seconds", "1", "--mix", "1/99"], "out of reach"),
        (["simulate", "--speed", "2"], "needs --seconds"),
        (["simulate", "--late", "2"], "--late"),
        (["replay", "no-such-file"], "does not exist"),
        (["load", "--profile", "no-such"], "no profile 'no-such'"),
    ],
)
def test_a_wrong_call_is_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_report_goes_into_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "markers.jsonl").write_text("of another run")
    result = CliRunner().invoke(app, ["load", "--report", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not empty" in result.output


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n")
    result = CliRunner().invoke(app, ["replay", str(tmp_path / "x.csv")])
    assert result.exit_code == 2
    assert "the columns are not" in result.output


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_SIMULATOR_RATE", "fast")
    result = CliRunner().invoke(app, ["simulate", "--seconds", "1"])
    assert result.exit_code == 2
    assert "rate" in result.output


def test_without_a_gateway_events_are_counted_as_failed_and_none_is_lost_silently() -> None:
    call = [
        "simulate",
        "--seconds",
        "1",
        "--speed",
        "0",
        "--rate",
        "20",
        "--patience",
        "0",
        "--gateway",
        NOBODY,
        "--json",
    ]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1
    assert '"failed"' in result.output


def test_a_load_run_without_graphql_does_not_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["load", "--no-audit", "--graphql", NOBODY, "--report", str(tmp_path)])
    assert result.exit_code == 1
    assert "GraphQL is not there" in result.output


def test_an_audited_load_without_a_database_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", "postgresql://nobody@127.0.0.1:7389/none")
    result = CliRunner().invoke(app, ["load", "--report", str(tmp_path)])
    assert result.exit_code == 1
    assert "Error: Postgres:" in result.output


def test_every_verb_helps() -> None:
    for verb in ("simulate", "replay", "load"):
        result = CliRunner().invoke(app, [verb, "--help"])
        assert result.exit_code == 0


FINE = {
    "errors": {},
    "events": 10,
    "freshness": {"refused": 0, "missing": 0, "never_told": 0},
}


def test_a_clean_run_has_no_problems() -> None:
    assert problems(FINE) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"errors": {"Json: status 503": 3}}, "3 requests: Json: status 503"),
        ({"events": 0}, "no event was acknowledged"),
        ({"freshness": {"refused": 0, "missing": 2, "never_told": 0}}, "2 freshness markers missing"),
        ({"freshness": {"refused": 0, "missing": 0, "never_told": 1}}, "1 freshness markers never told"),
    ],
)
def test_each_problem_is_a_sentence(changed: dict[str, object], sentence: str) -> None:
    found = problems({**FINE, **changed})
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_a_measurement_that_is_terminated_ends_what_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def measure(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 5)
        finally:
            ended.append("the parts of its own")

    monkeypatch.setattr(bench_cli, "run_gateway_bench", measure)
    assert terminated("bench", "gateway") == 128 + signal.SIGTERM
    assert ended


def test_a_load_that_is_terminated_ends_its_clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended = []

    async def run(_: object) -> None:
        try:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("the clients")
            raise

    monkeypatch.setattr(load_cli, "run_load", run)
    destination = ("--gateway", "http://127.0.0.1:1", "--write-key", "k", "--report", str(tmp_path / "report"))
    assert terminated("load", "--no-audit", *destination) == 128 + signal.SIGTERM
    assert ended


def terminated(*arguments: str) -> int:
    """The exit code of a command that sends itself SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        return CliRunner().invoke(app, arguments).exit_code
    finally:
        signal.signal(signal.SIGTERM, before)
