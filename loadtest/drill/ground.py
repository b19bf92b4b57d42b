"""The stack that a drill breaks, as faults see it: its processes, its links, its database, its folders."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from contracts.settings import KafkaSettings, PostgresSettings
from loadtest.drill.link import Link

_LOOK_SECONDS: Final = 0.02


class DrillError(Exception):
    """The drill could not be done as it should: what it was to break is not there. The message says what."""


@dataclass
class Ground:
    """One running stack."""

    home: Path
    kafka: KafkaSettings
    postgres: PostgresSettings
    links: Mapping[str, Link] = field(default_factory=dict)
    """By the part in front of which they are; empty where the stack was started without them."""

    def pid(self, part: str) -> int:
        """Process of a part, as its supervisor started it. Raises DrillError while there is none."""
        told = self._state(part)["process"]
        if told is None or not psutil.pid_exists(int(told["pid"])):
            raise DrillError(f"{part} does not run")
        return int(told["pid"])

    def port(self, part: str) -> int:
        """Where a part itself listens. Raises DrillError where it was never started."""
        return int(self._state(part)["port"])

    def processes(self, part: str) -> list[psutil.Process]:
        """A part's process and all below it: Spark's JVM, the gateway's workers, Postgres's backends."""
        leader = psutil.Process(self.pid(part))
        return [leader, *leader.children(recursive=True)]

    def _state(self, part: str) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.home / "state.json").read_text("utf-8"))["parts"][part]
        except (OSError, ValueError, KeyError) as error:
            raise DrillError(f"{self.home} has no state of {part}: {error!r}") from error
        return told

    def link(self, part: str) -> Link:
        """The link in front of a part. Raises DrillError where there is none."""
        if part not in self.links:
            raise DrillError(f"this stack has no link in front of {part}; let the drill start one of its own")
        return self.links[part]


async def eventually(met: Callable[[], bool], seconds: float, what: str) -> None:
    """Look until it is so. Raises DrillError."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise DrillError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(_LOOK_SECONDS)
