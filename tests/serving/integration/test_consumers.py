"""What consumers expect of the answers to their operations, held against a server that runs."""

from typing import Any

import pytest

from tests import consumers
from tests.serving.integration.conftest import NOW, Server

pytestmark = pytest.mark.integration


def test_consumers_are_answered_what_they_expect(server: Server) -> None:
    def ask(query: str, variables: dict[str, Any]) -> Any:
        return server.data(query, **variables)

    found = consumers.faults(ask, NOW.replace(minute=0, second=0))
    assert len(found) == 6
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_an_answer_that_lacks_something_is_found(server: Server) -> None:
    def ask(query: str, variables: dict[str, Any]) -> Any:
        data = server.data(query, **variables)
        return {name: [] if name == "sales" else value for name, value in data.items()}

    found = consumers.faults(ask, NOW.replace(minute=0, second=0))
    assert [name for name, faults in found.items() if faults] == ["shop-dashboard/overview"]
    assert found["shop-dashboard/overview"][0].startswith("$.sales:")
