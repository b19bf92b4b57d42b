"""What consumers send, and whether the answers are what they need: for anything that serves GraphQL."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

CONSUMERS: Final = Path(__file__).resolve().parents[1] / "contracts" / "consumers"


def faults(ask: Callable[[str, dict[str, Any]], Any], hour: datetime) -> dict[str, list[str]]:
    """What is not as it is expected in the answers, by operation.

    Args:
        ask: Gives the data of an answer.
        hour: The beginning of the one that their variables mean.
    """
    times = {"{hour}": hour.isoformat(), "{next hour}": (hour + timedelta(hours=1)).isoformat()}
    found = {}
    for operation in sorted(CONSUMERS.glob("*/*.graphql")):
        told = json.loads(operation.with_suffix(".json").read_text("utf-8"))
        data = ask(operation.read_text("utf-8"), _in_place(told["variables"], times))
        errors = Draft202012Validator(told["expects"]).iter_errors(data)
        found[f"{operation.parent.name}/{operation.stem}"] = [f"{each.json_path}: {each.message}" for each in errors]
    return found


def _in_place(value: Any, times: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _in_place(each, times) for name, each in value.items()}
    return times.get(value, value) if isinstance(value, str) else value
