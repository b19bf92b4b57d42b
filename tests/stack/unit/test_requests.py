"""Requests become the commands that a person would type."""

from typing import Any

import pytest

from stack.errors import SettingsError
from stack.requests import Request, command_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kind", "arguments", "command"),
    [
        ("erase_user", {"user_id": "--yes; rm"}, ["erase", "--user=--yes; rm", "--yes", "--json"]),
        (
            "replay_rejected",
            {"ids": ["1234", "abcd-"], "patch": '.action = "view"'},
            ["rejected", "replay", "--id=1234", "--id=abcd-", '--patch=.action = "view"', "--json"],
        ),
        (
            "replay_rejected",
            {"reason": "invalid_enum", "source": "-web", "since": "2026-03-01T12:00:00+00:00"},
            [
                *("rejected", "replay", "--reason=invalid_enum", "--source=-web"),
                *("--since=2026-03-01T12:00:00+00:00", "--json"),
            ],
        ),
    ],
)
def test_a_request_is_a_command_with_its_options(kind: str, arguments: dict[str, Any], command: list[str]) -> None:
    assert command_of(Request(1, kind, arguments, 1)) == command


def test_a_kind_that_is_not_known_is_not_done() -> None:
    with pytest.raises(SettingsError, match="dance"):
        command_of(Request(1, "dance", {}, 1))
