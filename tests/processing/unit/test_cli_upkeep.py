"""`compact` and `gold` as commands: what they print and how they end."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processing.cli import app
from processing.event_log import EventLog
from tests.processing.builders import START_MS, click
from tests.processing.log_rows import event_table

pytestmark = pytest.mark.unit


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EventLog:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("MILLRACE_LOG_PATH", str(tmp_path / "delta"))
    log = EventLog(tmp_path / "delta", 0.0)
    log.open()
    for epoch in (1, 2):
        log.add(epoch, event_table((click(f"{epoch}{d}", timestamp=START_MS + d * 86_400_000) for d in (0, 1)), epoch))
        log.flush()
    return log


def test_a_dry_run_says_what_would_be_done_and_does_nothing(log: EventLog) -> None:
    done = CliRunner().invoke(app, ["compact", "--dry-run", "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["dry_run"] is True
    assert [(each["table"], each["files_before"], each["put_together"]) for each in told["tables"]] == [
        ("events", 4, 2)
    ]
    told = CliRunner().invoke(app, ["compact", "--dry-run"]).stdout
    assert " ".join(told.split()) == "events 4 files 0.0 MiB; 2 would be put together, 0 deleted from the disk"


def test_a_compaction_says_what_it_did(log: EventLog) -> None:
    done = CliRunner().invoke(app, ["compact", "--json"])
    assert done.exit_code == 0
    (told,) = json.loads(done.stdout.splitlines()[-1])["tables"]  # after what is logged
    assert (told["files_before"], told["files_after"], told["put_together"], told["deleted"]) == (4, 3, 2, 0)
    assert "3 files" in CliRunner().invoke(app, ["compact"]).stdout


def test_without_an_event_log_there_is_nothing_to_compact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_LOG_PATH", str(tmp_path))
    done = CliRunner().invoke(app, ["compact"])
    assert done.exit_code == 2
    assert "there is no event log" in done.stderr


def test_files_are_kept_for_an_hour_at_least(log: EventLog) -> None:
    assert CliRunner().invoke(app, ["compact", "--keep-hours", "0"]).exit_code == 2


def test_gold_without_a_database_says_so(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/nowhere?connect_timeout=1")
    done = CliRunner().invoke(app, ["gold"])
    assert done.exit_code == 2
    assert "Postgres" in done.stderr
