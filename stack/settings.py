"""Settings of the stack: ports, folders, sizes and limits of one machine."""

from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field, SecretStr

from contracts.settings import PartSettings

REPOSITORY: Final = Path(__file__).resolve().parent.parent
HOST: Final = "127.0.0.1"
"""Everything listens here and nowhere else: no part asks for a password that the whole network may try."""

PORT_OFFSETS: Final = {
    "gateway": 0,
    "serving": 1,
    "processing": 2,
    "kafka": 3,
    "kafka-controller": 4,
    "postgres": 5,
    "watch": 6,
}
"""Port of each listener, counted from the base port."""


class StackSettings(PartSettings):
    """`MILLRACE_STACK_<NAME>` in the environment, or `[stack]` in `$MILLRACE_HOME/millrace.toml`."""

    part: ClassVar[str] = "stack"

    base_port: int = Field(default=7070, ge=1024, le=65000)
    """First of seven consecutive ports: gateway, serving, processing, Kafka, Kafka's controller, Postgres, watch."""
    cache: Path = REPOSITORY / ".millrace" / "cache"
    """Folder of the fetched jars and what is made of them once; beside the code, so that several stacks share it."""
    ivy_settings: Path | None = None
    """An Ivy settings file for fetching the jars, where a mirror has to be used."""
    java_home: Path | None = None
    """Java 17 or 21 to use; without it `JAVA_HOME`, `PATH`, the usual folders, then the wheel are tried."""
    minimum_free_disk_mb: int = Field(default=1024, ge=0)
    """Refuse to start with less free space than this (MiB) under the home, the cache or Postgres's data."""

    kafka_heap_mb: int = Field(default=512, ge=256)
    """Java heap of the broker, MiB."""
    postgres_url: SecretStr | None = None
    """Use this Postgres (15 or later) instead of starting one."""
    postgres_folder: Path | None = None
    """Data folder of the embedded Postgres; default `$MILLRACE_HOME/postgres` (as root see `stack.unprivileged`)."""
    postgres_account: str = Field(default="millrace", pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    """System account that Postgres runs as when the stack is started by root; made when it does not exist."""
    postgres_shared_buffers_mb: int = Field(default=256, ge=16)
    """Postgres's own page cache, MiB."""
    postgres_max_connections: int = Field(default=60, ge=10)
    """Connections Postgres takes at once, all parts together."""

    kafka_via_port: int | None = Field(default=None, ge=1024, le=65535)
    """The port by which everybody reaches the broker, where something stands in front of it (a drill's proxy)."""
    postgres_via_port: int | None = Field(default=None, ge=1024, le=65535)
    """The port by which the parts reach the embedded Postgres, as above."""

    gateway_workers: int = Field(default=1, ge=1)
    """Worker processes of the gateway."""
    demo_events_per_second: float = Field(default=20.0, gt=0)
    """Rate of the simulator that `up` starts."""
    demo_seed: int | None = Field(default=None, ge=0)
    """Seed of that simulator; unset, a fresh one at each start, so that a restart does not repeat event ids."""

    start_timeout_seconds: float = Field(default=180.0, gt=0)
    """How long a started process may take to become ready. Downloads do not count."""
    stop_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a part may take to stop before it is killed."""
    restart_limit: int = Field(default=10, ge=0)
    """Restarts of a part within ten minutes before the supervisor gives it up."""
    restart_pause_seconds: float = Field(default=30.0, ge=0)
    """Longest pause before a restart; pauses begin at a quarter of a second and double."""
    log_max_mb: int = Field(default=32, ge=1)
    """A part's log of more than this (MiB) is set aside when the part starts."""
    log_keep: int = Field(default=3, ge=0)
    """How many logs set aside are kept per part."""

    def port(self, listener: str) -> int:
        """Port of one of `PORT_OFFSETS`."""
        return self.base_port + PORT_OFFSETS[listener]

    @property
    def kafka_address(self) -> str:
        """`host:port` that clients of the broker are told."""
        return f"{HOST}:{self.kafka_via_port or self.port('kafka')}"
