"""The Airflow DAG, as far as can be told without Airflow: what it calls is there, with the options that it gives.

Airflow is in no lock: it brings some two hundred packages. That it takes the file and runs it has been tried by hand,
as deploy/airflow/README.md says.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

from processing.cli import app as processing
from stack.cli import app as millrace

pytestmark = pytest.mark.unit

DAG = Path(__file__).resolve().parents[3] / "deploy" / "airflow" / "millrace_daily.py"


def commands() -> dict[str, list[str]]:
    """By task, the words of its command after `millrace`; what Airflow fills in is a day."""
    found = {}
    for node in ast.walk(ast.parse(DAG.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "BashOperator":
            given = {each.arg: each.value for each in node.keywords}
            task, line = given["task_id"], given["bash_command"]
            assert isinstance(task, ast.Constant)
            assert isinstance(line, ast.JoinedStr)
            parts = [each.value if isinstance(each, ast.Constant) else "millrace" for each in line.values]
            program, *words = shlex.split(re.sub(r"{{.*?}}", "2026-03-01", "".join(map(str, parts))))
            assert program == "millrace"
            found[str(task.value)] = words
    return found


def test_every_command_of_the_dag_is_one_of_millrace_with_options_that_it_has() -> None:
    assert sorted(commands()) == ["compact", "gold", "report", "verify"]
    verbs = typer.main.get_command(processing).commands  # type: ignore[attr-defined]
    for verb, *words in commands().values():
        assert verb in typer.main.get_command(millrace).commands  # type: ignore[attr-defined]
        with verbs[verb].make_context(verb, words) as context:
            assert context.params


def test_tasks_follow_one_another_and_nothing_else_is_imported_than_airflow_3_offers() -> None:
    tree = ast.parse(DAG.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"datetime", "airflow.providers.standard.operators.bash", "airflow.sdk"}
    edges = [
        ast.unparse(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and ">>" in ast.unparse(node)
    ]
    assert edges == ["verify >> gold >> compact", "verify >> report"]
