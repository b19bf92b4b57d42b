"""Where something stands in front of broker or database, everybody goes by it, and the parts stay where they are."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack import postgres
from stack.cli import app
from stack.kafka import server_properties
from stack.layout import Layout
from stack.parts import common_environment
from stack.settings import StackSettings

pytestmark = pytest.mark.unit

THROUGH = StackSettings(base_port=7100, kafka_via_port=7190, postgres_via_port=7191)


def test_parts_are_told_the_ports_in_front(tmp_path: Path) -> None:
    told = common_environment(THROUGH, Layout(tmp_path))
    assert told["MILLRACE_KAFKA_BOOTSTRAP"] == "127.0.0.1:7190"
    assert "@127.0.0.1:7191/millrace" in told["MILLRACE_POSTGRES_URL"]


def test_the_broker_listens_where_it_does_and_names_the_port_in_front(tmp_path: Path) -> None:
    lines = server_properties(tmp_path, 7103, 7104, THROUGH.kafka_address).splitlines()
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:7190" in lines
    assert "listeners=PLAINTEXT://127.0.0.1:7103,CONTROLLER://127.0.0.1:7104" in lines


def test_the_stack_itself_asks_the_database_directly(tmp_path: Path) -> None:
    assert "@127.0.0.1:7105/postgres" in postgres.url(THROUGH, Layout(tmp_path), "postgres")


def test_without_them_the_parts_own_ports_are_told(tmp_path: Path) -> None:
    told = common_environment(StackSettings(base_port=7100), Layout(tmp_path))
    assert told["MILLRACE_KAFKA_BOOTSTRAP"] == "127.0.0.1:7103"
    assert "@127.0.0.1:7105/" in told["MILLRACE_POSTGRES_URL"]


def test_the_environment_of_tools_is_printed_for_shells_and_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home with a space"))
    monkeypatch.setenv("MILLRACE_STACK_BASE_PORT", "7100")
    told = json.loads(CliRunner().invoke(app, ["env", "--json"]).output)
    assert told["MILLRACE_GRAPHQL_URL"] == "http://127.0.0.1:7101/graphql"
    assert told["MILLRACE_SIMULATOR_WRITE_KEY"].startswith("mr_")
    lines = CliRunner().invoke(app, ["env"]).output.splitlines()
    assert dict(shlex.split(line)[1].split("=", 1) for line in lines) == told
