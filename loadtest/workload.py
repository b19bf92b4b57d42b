"""A workload is a data file: which user classes send which share of the events, in requests of which size."""

import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FOLDER: Final = Path(__file__).resolve().parent / "workloads"


class WorkloadError(ValueError):
    """The workload is not there or not in order; the message names file and key."""


class UserShare(BaseModel):
    """What one user class does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(gt=0, le=1)
    """Of all events per second."""
    events_per_request: int = Field(ge=1, le=1000)
    users: int = Field(ge=1, le=1000)
    """How many of them; each has one connection and one request under way at most."""

    def interval_seconds(self, events_per_second: float) -> float:
        """From one request of a user to its next, at this total rate."""
        return self.users * self.events_per_request / (events_per_second * self.share)


class Workload(BaseModel):
    """Shares of all user classes; they sum to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    json_user: UserShare | None = None
    avro_batch_user: UserShare | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(share.share for share in self.shares().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"shares sum to {total}, not to 1")
        return self

    def shares(self) -> dict[str, UserShare]:
        """By name of the user class in the locustfile."""
        named = {"JsonUser": self.json_user, "AvroBatchUser": self.avro_batch_user}
        return {name: share for name, share in named.items() if share is not None}


def read_workload(name: str) -> Workload:
    """A workload of this folder by name, or of a file by path. Raises WorkloadError."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        return Workload.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise WorkloadError(f"no workload {name!r}; there are {known}, or give a .toml file") from None
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise WorkloadError(f"{path}: {error}") from error
