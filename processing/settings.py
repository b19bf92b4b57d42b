"""Everything about processing that can be set."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from contracts.settings import KafkaSettings, LogSettings, PartSettings, PostgresSettings, ShopSettings, home


class ProcessingSettings(PartSettings):
    """Settings of the streaming part (`MILLRACE_PROCESSING_*`, table `[processing]`)."""

    part: ClassVar[str] = "processing"

    host: str = "127.0.0.1"
    """Address of the health and metrics server."""
    port: int = Field(default=7072, ge=1, le=65535)
    """Port of the health and metrics server."""
    jars: Path = Field(default_factory=lambda: home() / "jars" / "spark")
    """Folder of the Kafka, Avro and Delta jars that Spark needs beside its own."""
    checkpoint: Path = Field(default_factory=lambda: home() / "checkpoint")
    """Folder of Spark's scratch checkpoints. Disposable: the ledger decides where a start resumes."""
    master: str = "local[2]"
    """Spark master URL."""
    driver_memory: str = Field(default="2g", pattern=r"^\d+[mg]$")
    """Heap of the Spark driver (in local mode, of all of Spark)."""
    shuffle_partitions: int = Field(default=2, ge=1)
    """Tasks per shuffle: one per core; every further one adds to each epoch's fixed cost."""
    epoch_interval_ms: int = Field(default=500, ge=0)
    """Shortest time between two epochs' starts. Under load epochs follow one another without a pause."""
    max_events_per_epoch: int = Field(default=100_000, ge=1)
    """Bound on an epoch's size, and so on memory, while a backlog is drained."""
    dedupe_horizon_seconds: int = Field(default=3600, ge=60)
    """How long an event id is remembered. A copy that comes later than this is counted again."""
    partition_idle_seconds: int = Field(default=60, ge=1)
    """A partition silent for this long (broker time) no longer holds the watermark back."""
    warm_up_seconds: float = Field(default=8.0, ge=0)
    """How long made-up epochs are run before the part is ready, so that the JVM is compiled when real ones come."""
    log_interval_seconds: float = Field(default=5.0, ge=0)
    """Longest time that committed epochs wait before they are appended to the Delta log together."""
    roll_up_wait_seconds: float = Field(default=5.0, ge=0)
    """Longest time that roll-ups wait for a pause between two epochs before they take one."""
    roll_up_again_seconds: float = Field(default=300.0, ge=0)
    """An hour or day to which something came late is made again this long after it was made; its minutes are read till
    then."""
    keep_minutes_days: int | None = Field(default=None, ge=1)
    """Whole days for which minutes are kept once they are summed up to hours and days; unset, for ever."""
    keep_conversions_days: int | None = Field(default=None, ge=1)
    """The same for single clicks, additions to carts and purchases. Longer than events may come late: later ones are in
    no roll-up."""
    keep_paths_days: int | None = Field(default=None, ge=1)
    """The same for the paths of sessions. The sessions themselves are kept."""
    compact_interval_seconds: float = Field(default=3600.0, ge=0)
    """Time between two compactions of the Delta tables in the background; 0 for none."""
    compact_keep_hours: int = Field(default=24, ge=1, le=160)
    """Files are deleted once no version of their table has had them for so long: longer than anyone reads one."""
    gold_interval_seconds: float = Field(default=900.0, ge=0)
    """Time between two turns of writing final hours and days to the gold tables; 0 for none."""
    report_interval_seconds: float = Field(default=3600.0, ge=0)
    """Time between two turns of making the daily reports that are due; 0 for none."""
    publish_results: bool = True
    """Whether changed rows are published to the analytics-results topic."""
    verify_interval_seconds: float = Field(default=600.0, ge=0)
    """Time between two verifications of a random hour in the background; 0 for none."""
    restart_backoff_seconds: float = Field(default=1.0, gt=0)
    """First pause before the query is started again after a fault; doubles up to 30 s."""

    @field_validator("checkpoint")
    @classmethod
    def _is_a_folder(cls, checkpoint: Path) -> Path:
        if checkpoint.exists() and not checkpoint.is_dir():
            raise ValueError(f"{checkpoint} is not a folder; delete it or name another place")
        return checkpoint


class Settings:
    """All the settings this part reads, loaded once at start."""

    def __init__(self) -> None:
        self.processing = ProcessingSettings()
        self.kafka = KafkaSettings()
        self.postgres = PostgresSettings()
        self.log = LogSettings()
        self.shop = ShopSettings()
