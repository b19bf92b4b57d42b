"""The command line: what is asked wrongly is answered with 2 and a sentence, a part that is away with 1."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtest.cli import app
from loadtest.load import problems

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
        (["load", "--workload", "no-such"], "no workload 'no-such'"),
    ],
)
def test_a_wrong_call_is_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


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


def test_a_load_run_without_graphql_does_not_start() -> None:
    result = CliRunner().invoke(app, ["load", "--graphql", NOBODY])
    assert result.exit_code == 1
    assert "GraphQL is not there" in result.output


def test_every_verb_helps() -> None:
    for verb in ("simulate", "replay", "load"):
        result = CliRunner().invoke(app, [verb, "--help"])
        assert result.exit_code == 0


FINE = {
    "errors": {},
    "events": 10,
    "freshness": {"refused": 0, "missing": 0},
    "books": {"close": True, "residue": 0},
}


def test_a_clean_run_has_no_problems() -> None:
    assert problems(FINE) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"errors": {"status 503": 3}}, "3 requests: status 503"),
        ({"events": 0}, "no event was acknowledged"),
        ({"freshness": {"refused": 0, "missing": 2}}, "2 freshness markers missing"),
        ({"books": {"close": False, "residue": 5}}, "the books do not close"),
        ({"books": None}, "the books do not close"),
    ],
)
def test_each_problem_is_a_sentence(changed: dict[str, object], sentence: str) -> None:
    found = problems({**FINE, **changed})
    assert len(found) == 1
    assert found[0].startswith(sentence)
