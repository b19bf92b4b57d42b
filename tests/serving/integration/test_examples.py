"""The operations that the schema shows are answered by a real server."""

import re

import pytest
from graphql import build_schema

from serving.__main__ import SDL
from tests.serving.integration.conftest import Server

pytestmark = pytest.mark.integration

_SERVED = build_schema(SDL.read_text("utf-8"))
_ROOTS = _SERVED.query_type.fields if _SERVED.query_type is not None else {}


@pytest.mark.parametrize("name", _ROOTS)
def test_the_example_of_a_root_is_answered(server: Server, name: str) -> None:
    (example,) = re.findall(r"```graphql\n(.+?)\n```", _ROOTS[name].description or "", re.DOTALL)
    assert name in server.data(example)
