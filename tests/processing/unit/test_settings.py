"""A bad setting stops the part with the name of the key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from processing.settings import ProcessingSettings, Settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", "0"),
        ("port", "70000"),
        ("driver_memory", "lots"),
        ("shuffle_partitions", "0"),
        ("epoch_interval_ms", "-1"),
        ("max_events_per_epoch", "0"),
        ("dedupe_horizon_seconds", "59"),
        ("partition_idle_seconds", "0"),
        ("log_interval_seconds", "-0.1"),
        ("restart_backoff_seconds", "0"),
        ("publish_results", "perhaps"),
    ],
)
def test_a_bad_value_is_refused_by_name(key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MILLRACE_PROCESSING_{key.upper()}", value)
    with pytest.raises(ValidationError, match=key):
        Settings()


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "millrace.toml").write_text("[processing]\nport = 7999\nshuffle_partitions = 3\n")
    monkeypatch.setenv("MILLRACE_PROCESSING_PORT", "7998")
    settings = ProcessingSettings()
    assert (settings.port, settings.shuffle_partitions, settings.max_events_per_epoch) == (7998, 3, 100_000)


def test_an_unknown_key_in_the_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "millrace.toml").write_text("[processing]\nprot = 1\n")
    with pytest.raises(ValidationError, match="prot"):
        ProcessingSettings()


def test_the_folders_are_below_the_home(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.processing.checkpoint.parent == settings.log.path.parent == tmp_path


def test_the_database_password_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", "postgresql://millrace:hunter2@127.0.0.1/millrace")
    assert "hunter2" not in repr(Settings().postgres)
