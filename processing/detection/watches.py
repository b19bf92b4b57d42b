"""What is watched: which metric of which scope, in windows of which length, from which volume on."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Table

from contracts.projections import category_minutes, product_minutes, site_minutes
from contracts.rollups import COARSER

MONEY: Final = frozenset({"revenue", "refunded"})


@dataclass(frozen=True)
class Scope:
    """What a metric is counted of."""

    name: str
    table: Table
    subject: str | None
    """The column that says which one; None for the one site."""
    parts: str | None
    """The scope that this one is made of: where the contributions to a flag are looked for."""


SCOPES: Final = {
    "site": Scope("site", site_minutes, None, parts="category"),
    "category": Scope("category", category_minutes, "category", parts="product"),
    "product": Scope("product", product_minutes, "product_id", parts=None),
}


@dataclass(frozen=True)
class Source:
    """Where windows are read from."""

    table: str
    time: str
    """The column that says when."""


@dataclass(frozen=True)
class Watch:
    """Some metrics of one scope, in tumbling windows of one length, held against the windows before.

    Windows of an hour are read from the roll-ups and judged by trained detectors once their roll-up is made.
    """

    scope: str
    metrics: tuple[str, ...]
    window_minutes: int
    history: int
    """Windows that are looked back on; at least `MINIMUM_HISTORY` of them must have something in them."""
    minimum: float
    """Neither flagged nor alerted when less than this is both expected and observed; of money, purchases."""
    subjects: int = 200
    """Of so many categories or products, those with the most events, and of no more."""

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.window_minutes)

    @property
    def by_hour(self) -> bool:
        return self.window_minutes == 60

    def source(self, scope: str) -> Source:
        """Where its windows are read from; those of the parts of its scope, too."""
        table = SCOPES[scope].table
        return Source(COARSER[table.name][0].name, "hour") if self.by_hour else Source(table.name, "minute")


MINIMUM_HISTORY: Final = 12
"""Windows without which nothing is expected yet."""

WATCHES: Final = (
    Watch("site", ("events", "views", "adds", "checkouts", "purchases", "revenue"), 1, 60, 20),
    Watch("site", ("adds", "checkouts", "purchases", "revenue"), 5, 36, 20),
    Watch("category", ("views", "purchases", "revenue"), 5, 36, 20),
    Watch("product", ("views", "purchases"), 10, 24, 30),
)

HOURLY: Final = (
    Watch("site", ("events", "views", "adds", "checkouts", "purchases", "revenue"), 60, 24, 20),
    Watch("category", ("views", "purchases", "revenue"), 60, 24, 20, subjects=12),
    Watch("product", ("views", "purchases"), 60, 24, 30, subjects=20),
)

LEARNT_HOURS: Final = 28 * 24
"""What is trained learns from so many hours before."""
