"""Where a stack keeps what: the one list of paths under its home."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths under one home. Nothing is created here."""

    home: Path

    @property
    def logs(self) -> Path:
        """`<part>.log`, and `<part>.log.1` ... set aside."""
        return self.home / "logs"

    @property
    def state(self) -> Path:
        """What the supervisor runs; written by it alone."""
        return self.home / "state.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one supervisor of this home as long as it lives."""
        return self.home / "supervisor.lock"

    @property
    def kafka(self) -> Path:
        """Generated properties and the broker's log folders."""
        return self.home / "kafka"

    @property
    def postgres(self) -> Path:
        """Default data folder of Postgres."""
        return self.home / "postgres"

    @property
    def postgres_password(self) -> Path:
        """Password of the database user, 0600."""
        return self.home / "postgres_password"

    @property
    def demo_key(self) -> Path:
        """The demo write key in plain text, 0600."""
        return self.home / "demo_key"

    @property
    def keys_file(self) -> Path:
        """Write keys as the gateway reads them: hashed."""
        return self.home / "keys.json"

    @property
    def replayed(self) -> Path:
        """Which rejected events were replayed, as JSON lines."""
        return self.home / "replayed.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Spark's checkpoint."""
        return self.home / "checkpoint"

    @property
    def delta(self) -> Path:
        """The Delta event log."""
        return self.home / "delta"

    @property
    def java(self) -> Path:
        """A Java home for Spark's launcher, where one has to be made (see `stack.java`)."""
        return self.home / "java"

    def log(self, part: str) -> Path:
        """A part's log file."""
        return self.logs / f"{part}.log"
