"""`millrace client` prints a client for files of operations, or says what does not fit and where."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack.cli import app

pytestmark = pytest.mark.unit


def test_it_prints_python_that_says_how_to_make_it_again(tmp_path: Path) -> None:
    file = tmp_path / "commit.graphql"
    file.write_text("query NewestCommit { asOf { epoch } }")
    told = CliRunner().invoke(app, ["client", str(file)])
    assert (told.exit_code, told.stderr) == (0, "")
    assert f"Made by `millrace client {file}`" in told.stdout
    assert "def newest_commit() -> Operation[NewestCommit]:" in told.stdout
    compile(told.stdout, "client", "exec")


def test_an_operation_that_does_not_fit_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "commit.graphql"
    file.write_text("query NewestCommit {\n  asOf { epochs } }")
    told = CliRunner().invoke(app, ["client", str(file)])
    assert (told.exit_code, told.stdout) == (1, "")
    assert "Cannot query field 'epochs' on type 'AsOf'" in told.stderr
    assert f"{file}:2:10" in told.stderr
