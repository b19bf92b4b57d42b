"""What clients were promised is kept; what is not is named."""

from pathlib import Path

import pytest

from serving.__main__ import printed_schema
from serving.promise import PROMISED, as_promised, broken, promise

pytestmark = pytest.mark.unit

PROMISED_SDL = """
type Query { sales(grain: Grain!, zone: String): [Bucket!]!  old: Int @deprecated(reason: "use sales")  kept: Int! }
type Bucket { revenue: String!  orders: Int }
enum Grain { HOUR DAY }
"""


def test_the_schema_keeps_what_was_promised() -> None:
    assert broken(PROMISED.read_text("utf-8"), printed_schema()) == [], "see docs/graphql.md, Changes"


def test_nothing_is_served_that_is_not_promised() -> None:
    assert PROMISED.read_text("utf-8") == as_promised(printed_schema()), "run `python -m serving promise`"


def test_a_promise_is_of_names_and_types_whatever_is_said_of_them() -> None:
    described = '"""\n  Placed.\n  """\n  orders(\n    """Which."""\n    by: Int = 3\n  ): Int'
    said = PROMISED_SDL.replace("orders: Int", "\n  " + described)
    assert "orders(by: Int = 3): Int" in as_promised(said)
    assert '"use sales"' in as_promised(said)
    assert "Placed" not in as_promised(said)
    assert "Which" not in as_promised(said)


@pytest.mark.parametrize(
    ("was", "is_", "named"),
    [
        ("revenue: String!", "", "Field Bucket.revenue was removed."),
        ("revenue: String!", "revenue: Int!", "Bucket.revenue changed type from String! to Int!."),
        ("kept: Int!", "kept: Int", "Query.kept changed type from Int! to Int."),
        ("zone: String)", "zone: String!)", "zone"),
        (", zone: String)", ")", "zone"),
        ("zone: String)", "zone: String, more: Int!)", "more"),
        ("HOUR DAY", "HOUR", "Grain.DAY"),
        ("kept: Int!", "", "Field Query.kept was removed."),
    ],
)
def test_a_change_that_breaks_a_client_is_named(was: str, is_: str, named: str) -> None:
    assert was in PROMISED_SDL
    (change,) = broken(PROMISED_SDL, PROMISED_SDL.replace(was, is_))
    assert named in change


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        ("orders: Int", "orders: Int!  units: Int"),
        ("zone: String)", 'zone: String = "UTC", more: Int)'),
        ("HOUR DAY", "HOUR DAY WEEK"),
        ('old: Int @deprecated(reason: "use sales")', ""),
    ],
    ids=["a field", "an argument that need not be given", "a value", "the end of what was deprecated"],
)
def test_what_breaks_nobody_is_free(was: str, is_: str) -> None:
    assert was in PROMISED_SDL
    assert broken(PROMISED_SDL, PROMISED_SDL.replace(was, is_)) == []


def test_a_promise_is_not_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "promised.graphql"
    monkeypatch.setattr("serving.promise.PROMISED", path)
    header = "# made\n\n"
    assert promise(header + PROMISED_SDL) == []
    before = path.read_text()
    assert promise(header + PROMISED_SDL.replace("kept: Int!", "")) == ["Field Query.kept was removed."]
    assert path.read_text() == before
    assert promise(header + PROMISED_SDL.replace("kept: Int!", "kept: Int!  more: Int")) == []
    assert "more: Int" in path.read_text()
