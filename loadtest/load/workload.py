"""A workload is a data file: how many events per second for how long, and which clients send and ask what.

[[stages]]                # one after the other
seconds = 60
events_per_second = 2000

[json]                    # a kind of sender: share of the events, events in a request, connections
share = 0.1
events_per_request = 1
users = 8

[dashboards_cold]         # a kind of reader: requests per second over all users, whatever the stage
requests_per_second = 2
users = 2

[subscriptions]           # readers that are told
users = 2
"""

import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FOLDER: Final = Path(__file__).resolve().parent.parent / "workloads"
SENDERS: Final = ("json", "json_batch", "avro_batch", "segment_batch")
READERS: Final = ("dashboards_cached", "dashboards_cold")


class WorkloadError(ValueError):
    """The workload is not there or not in order; the message names file and key."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Table):
    """A stretch of time at one rate."""

    seconds: float = Field(gt=0)
    events_per_second: float = Field(gt=0)


class Senders(_Table):
    """What one kind of sender does."""

    share: float = Field(gt=0, le=1)
    """Of all events per second."""
    events_per_request: int = Field(ge=1, le=1000)
    users: int = Field(ge=1, le=1000)
    """How many of them; each has one connection and one request under way at most."""


class Readers(_Table):
    """What one kind of reader does."""

    requests_per_second: float = Field(gt=0)
    """Over all its users."""
    users: int = Field(ge=1, le=1000)


class Subscribers(_Table):
    """Who is told of every commit over a WebSocket."""

    users: int = Field(ge=1, le=1000)


class Workload(_Table):
    """One run. The shares of the senders sum to 1."""

    stages: tuple[Stage, ...] = Field(min_length=1)
    json_: Senders | None = Field(default=None, alias="json")
    json_batch: Senders | None = None
    avro_batch: Senders | None = None
    segment_batch: Senders | None = None
    dashboards_cached: Readers | None = None
    dashboards_cold: Readers | None = None
    subscriptions: Subscribers | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(share.share for share in self.senders().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"shares sum to {total}, not to 1")
        return self

    @property
    def seconds(self) -> float:
        """Length of the run."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def events(self) -> float:
        """Events that it asks for."""
        return sum(stage.seconds * stage.events_per_second for stage in self.stages)

    @property
    def users(self) -> int:
        """All of them together."""
        sending = sum(kind.users for kind in self.senders().values())
        asking = sum(kind.users for kind in self.readers().values())
        return sending + asking + (self.subscriptions.users if self.subscriptions else 0)

    def senders(self) -> dict[str, Senders]:
        """The kinds of senders there are, by name."""
        named = {"json": self.json_, **{name: getattr(self, name) for name in SENDERS[1:]}}
        return {name: kind for name, kind in named.items() if kind is not None}

    def readers(self) -> dict[str, Readers]:
        """The kinds of readers that ask, by name."""
        named = {name: getattr(self, name) for name in READERS}
        return {name: kind for name, kind in named.items() if kind is not None}

    def at_rate(self, events_per_second: float | None, seconds: float | None) -> "Workload":
        """The same clients at one rate for a time; what is not given is that of the busiest stage, and of the whole."""
        if events_per_second is None and seconds is None:
            return self
        rate = events_per_second or max(stage.events_per_second for stage in self.stages)
        stage = Stage(seconds=seconds or self.seconds, events_per_second=rate)
        return self.model_copy(update={"stages": (stage,)})

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return self.model_dump_json(by_alias=True)


def read_workload(name: str) -> Workload:
    """A workload of this project by name, or of a file by path. Raises WorkloadError."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        return Workload.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise WorkloadError(f"no profile {name!r}; there are {known}, or give a .toml file") from None
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise WorkloadError(f"{path}: {error}") from error
