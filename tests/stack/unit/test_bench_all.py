"""All benches in one command: each is done once on the stack that it needs, whatever becomes of the others."""

from collections.abc import Sequence

import pytest
import typer

from stack.bench_all import BENCHES, chosen, run_all
from stack.errors import PartFailedError

pytestmark = pytest.mark.unit


class Commands:
    """Remembers what is run, and answers as told."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._answers = answers

    def __call__(self, arguments: Sequence[str]) -> tuple[int, str]:
        self.calls.append(tuple(arguments))
        name = arguments[1] if arguments[0] == "bench" else arguments[0]
        return self._answers.get(name, (0, '{"figure": 7}\n'))


def test_parts_are_measured_without_the_rest_and_the_rate_with_all_of_it() -> None:
    commands = Commands()
    results = run_all(BENCHES, commands, lambda _: None)
    assert [call[:2] for call in commands.calls] == [
        ("up", "--detach"),
        *(("bench", name) for name in ("gateway", "processing", "serving", "state", "detect", "forecast")),
        ("down",),
        ("up", "--detach"),
        ("bench", "rate"),
        ("down",),
    ]
    assert "kafka,postgres" in commands.calls[0]
    assert "--only" not in commands.calls[-3]
    assert {name: result["figures"] for name, result in results.items()} == {
        bench.name: {"figure": 7} for bench in BENCHES
    }


def test_a_bench_that_cannot_be_done_is_told_and_the_others_are_done() -> None:
    commands = Commands(gateway=(1, "Error: no broker\n"), state=(0, "not JSON"))
    results = run_all(chosen("gateway,state,serving"), commands, lambda _: None)
    assert [(name, result["done"], result.get("why")) for name, result in results.items()] == [
        ("gateway", False, "Error: no broker"),
        ("serving", True, None),
        ("state", False, "not JSON"),
    ]
    assert commands.calls[-1] == ("down",)


def test_a_stack_that_does_not_start_is_taken_down_and_told() -> None:
    commands = Commands(up=(1, "port taken"))
    with pytest.raises(PartFailedError, match="port taken"):
        run_all(BENCHES, commands, lambda _: None)
    assert commands.calls[-1] == ("down",)


def test_quickly_each_has_options_of_its_own_and_a_wrong_name_is_refused() -> None:
    commands = Commands()
    run_all(chosen("serving"), commands, lambda _: None, quick=True)
    assert commands.calls[1] == ("bench", "serving", "--json", *chosen("serving")[0].quickly)
    with pytest.raises(typer.BadParameter, match="the benches are gateway, processing"):
        chosen("gatway")
