"""What reports call recent, and whether they are mailed: `MILLRACE_REPORT_*`, table `[report]`."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from contracts.settings import PartSettings


class ReportSettings(PartSettings):
    """Bounds of the groups of customers, and the mail."""

    part: ClassVar[str] = "report"

    recent_days: int = Field(default=30, ge=1)
    """A customer whose last order is at most so old is active."""
    lapsed_days: int = Field(default=90, ge=2)
    """One whose last order is older than this is lost; between the two, slipping away."""
    often_orders: int = Field(default=4, ge=2)
    """So many orders make a customer loyal."""
    mail: bool = False
    """Whether each day's final report is mailed once, to the destinations of kind `email` in `[watch.destinations]`."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.recent_days >= self.lapsed_days:
            raise ValueError("recent_days must be less than lapsed_days")
        return self
