"""The cells of roll-ups: an hour or a day of one grain, what touches it, and when it will not change by itself.

Cells are hours and days in UTC since 1970. Which tables a grain covers stands in `contracts.rollups`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table

from contracts.projections import category_minutes, conversions, delays, sessions, site_minutes
from contracts.rollups import DAY, GRAINS
from contracts.settings import ShopSettings
from processing.merge import Merged
from processing.projections.conversions import WINDOW_MS

_NAIVE: Final = pa.timestamp("us")
"""In UTC, as all our times are: without the zone Arrow need not look up what it already knows."""


@dataclass(frozen=True)
class Grain:
    """One grain: cells of one length, made from the rows of one projection, or of several with the same times."""

    name: str
    source: Table
    """The projection whose rows say which cells have something in them."""
    time: str
    """The column of `source` that says in which cell a row is."""
    settles: timedelta
    """A cell's rows change in the order of events until the watermark is so far past its end."""
    until: str | None = None
    """The column that says until when a row reaches, where it reaches on: then the same is held against that."""

    @property
    def length(self) -> timedelta:
        return GRAINS[self.name]

    def cells_of(self, rows: pa.Table) -> dict[datetime, datetime | None]:
        """The cells that rows of `source`, or their keys alone, are in; with the newest `until` of each, if known."""
        starts = pc.floor_temporal(rows[self.time].cast(_NAIVE), unit="day" if self.length == DAY else "hour")
        if self.until is None or self.until not in rows.column_names:
            return dict.fromkeys(_instants(pc.unique(starts)))
        untils = pa.table({"start": starts, "until": rows[self.until].cast(_NAIVE)})
        newest = untils.group_by("start").aggregate([("until", "max")])
        return dict(zip(_instants(newest["start"]), _instants(newest["until_max"]), strict=True))

    def touched_by(self, merged: Merged) -> dict[datetime, datetime | None]:
        """The cells whose rows a merge has written or taken away."""
        touched = self.cells_of(merged.written)
        if self.time in merged.gone.column_names and merged.gone.num_rows:
            touched = self.cells_of(merged.gone) | touched
        return touched


@dataclass(frozen=True, order=True)
class Cell:
    """One cell of one grain."""

    starts_at: datetime
    grain: str

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + GRAINS[self.grain]


def grains(shop: ShopSettings) -> tuple[Grain, ...]:
    """Every grain of the contract."""
    at_once = timedelta(0)
    return (
        Grain("hour", site_minutes, "minute", at_once),
        Grain("day", site_minutes, "minute", at_once),
        Grain("window_hour", category_minutes, "minute", at_once),
        Grain("session_hour", sessions, "started_at", timedelta(seconds=shop.session_gap_seconds), until="ended_at"),
        Grain("conversion_hour", conversions, "happened_at", timedelta(milliseconds=WINDOW_MS)),
        Grain("delay_hour", delays, "minute", at_once),
    )


def _instants(times: pa.ChunkedArray | pa.Array) -> list[datetime]:
    return [time.replace(tzinfo=UTC) for time in times.to_pylist()]
