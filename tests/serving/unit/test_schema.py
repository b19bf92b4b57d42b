"""The SDL that is checked in is the schema that is served."""

import pytest
from graphql import build_schema as parse_sdl
from graphql import find_breaking_changes

from serving.__main__ import SDL, printed_schema

pytestmark = pytest.mark.unit


def test_the_checked_in_sdl_is_the_schema() -> None:
    assert SDL.read_text("utf-8") == printed_schema(), "run `python -m serving sdl` and look at the difference"


def test_the_sdl_is_valid_graphql_for_other_tools() -> None:
    parsed = parse_sdl(SDL.read_text("utf-8"))
    assert find_breaking_changes(parsed, parse_sdl(printed_schema())) == []


def test_every_root_says_what_it_is() -> None:
    parsed = parse_sdl(SDL.read_text("utf-8"))
    for kind in (parsed.query_type, parsed.subscription_type):
        assert kind is not None
        assert [name for name, root in kind.fields.items() if not root.description] == []
