"""Columns of the views for other readers: what was promised is there, and what is not is named."""

from pathlib import Path

import pytest

from contracts import view_promise
from contracts.view_promise import PROMISED, broken, promise, served
from contracts.views import VIEWS

pytestmark = pytest.mark.unit


def test_promised_columns_are_there_and_what_is_there_is_promised(tmp_path: Path) -> None:
    made = tmp_path / "views.json"
    made.write_text(PROMISED.read_text("utf-8"), "utf-8")
    assert promise(made) == []
    assert made.read_text("utf-8") == PROMISED.read_text("utf-8"), "run `python -m contracts promise`"


@pytest.mark.parametrize(
    ("then", "fault"),
    [
        ({"v": {"a": "text", "b": "bigint"}}, []),
        ({"v": {"a": "text"}}, []),
        ({"v": {"a": "text", "gone": "text"}}, ["v.gone was promised and is gone"]),
        ({"v": {"a": "numeric"}}, ["v.a was promised as numeric and is text"]),
        (
            {"v": {"b": "bigint", "a": "text"}},
            ["v.b was promised as column 1 and is 2", "v.a was promised as column 2 and is 1"],
        ),
        ({"w": {"a": "text"}}, ["w was promised and is gone"]),
    ],
)
def test_what_is_broken_is_named(then: view_promise.Views, fault: list[str]) -> None:
    assert broken(then, {"v": {"a": "text", "b": "bigint", "c": "text"}}) == fault


def test_a_broken_promise_is_not_replaced(tmp_path: Path) -> None:
    made = tmp_path / "views.json"
    made.write_text('{"bi_orders": {"weight": "numeric"}}', "utf-8")
    assert promise(made) == ["bi_orders.weight was promised and is gone"]
    assert "weight" in made.read_text("utf-8")


def test_every_column_says_what_it_means() -> None:
    assert served().keys() == {view.name for view in VIEWS}
    short = [(view.name, name) for view in VIEWS for name, column in view.columns.items() if len(column.meaning) < 4]
    assert short == []
