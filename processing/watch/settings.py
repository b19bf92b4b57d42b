"""Everything about the watch that can be set."""

from typing import ClassVar

from pydantic import Field

from contracts.settings import PartSettings, PostgresSettings, ShopSettings


class WatchSettings(PartSettings):
    """`MILLRACE_WATCH_*`, table `[watch]`."""

    part: ClassVar[str] = "watch"

    host: str = "127.0.0.1"
    """Address of the health and metrics server."""
    port: int = Field(default=7076, ge=1, le=65535)
    """Port of the health and metrics server."""
    interval_seconds: float = Field(default=1.0, gt=0)
    """How often it looks whether an epoch was committed."""
    look_back_hours: float = Field(default=6.0, gt=0)
    """Windows that ended longer than this before the watermark are not judged: not at a first start, and not again when
    something late comes to them."""
    robust_z_threshold: float = Field(default=4.0, gt=0)
    """Median absolute deviations from which a window is flagged; docs/detection.md has the table it was chosen from."""
    iqr_threshold: float = Field(default=2.5, gt=0)
    """The same in interquartile ranges beyond the nearer quartile."""


class Settings:
    """All the settings this part reads, loaded once at start."""

    def __init__(self) -> None:
        self.watch = WatchSettings()
        self.postgres = PostgresSettings()
        self.shop = ShopSettings()
