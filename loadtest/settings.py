"""Settings of the load side: where the gateway is, and what the standing simulator does."""

from typing import ClassVar

from pydantic import Field, SecretStr

from contracts.settings import PartSettings


class SimulatorSettings(PartSettings):
    """The simulator as a part of the stack; the same values are the defaults of the other verbs."""

    part: ClassVar[str] = "simulator"

    gateway_url: str = Field(default="http://127.0.0.1:7070", pattern=r"^https?://")
    """Base URL of the gateway, without a path."""
    write_key: SecretStr = SecretStr("")
    """Write key sent as a bearer token; empty sends none."""
    rate: float = Field(default=50.0, gt=0)
    """Events per second, averaged over a day."""
    seed: int | None = Field(default=None, ge=0)
    """Same seed, same events. Unset: a fresh one each run, so that a restart does not repeat ids."""
