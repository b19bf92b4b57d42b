"""What the tables of minutes must hold, and the windows, hours and days that readers read in their place."""

from collections.abc import Iterable

from sqlalchemy import Table

from contracts import projections, rollups
from processing.verification.check import MEASURES, Cells, Check, within


def minute_checks() -> Iterable[Check]:
    """Of products, categories, the site, and of delays; of their roll-ups those cells that are in use."""
    for tables, by, counted in (
        ("product", ["product_id", "category"], "product_id IS NOT NULL"),
        ("category", ["category"], "true"),
        ("site", [], "true"),
    ):
        minutes = getattr(projections, f"{tables}_minutes")
        hours, days = rollups.COARSER[minutes.name]
        yield _sums(minutes, by, counted, Cells("hour", "minute"))
        yield _sums(hours, by, counted, Cells("hour", "hour", are_rows=True))
        yield _sums(days, by, counted, Cells("day", "day", are_rows=True))
    windows = Cells("window_hour", "window_start", are_rows=True, dropped_with="hour")
    yield _sums(rollups.category_windows, ["category"], "true", windows)
    yield _delays(projections.delays, Cells("delay_hour", "minute"))
    yield _delays(rollups.delay_hours, Cells("delay_hour", "hour", are_rows=True))


def _sums(table: Table, by: list[str], counted: str, cells: Cells) -> Check:
    members = f"""
        SELECT * REPLACE (coalesce(category, '') AS category), {_begin("timestamp", cells)} AS {cells.time}
        FROM log WHERE {_in_cells_of_span("timestamp", cells)} AND {counted}
    """
    every = f"""
        SELECT {", ".join((cells.time, *by, "bot"))}, {MEASURES},
          count(CASE WHEN kind = 'refund' THEN 1 END) AS refunds,
          sum(if(kind = 'refund', amount, 0)) AS refunded,
          list(DISTINCT user_id) AS users,
          list(DISTINCT user_id) FILTER (kind = 'purchase') AS buyers,
          count(CASE WHEN late THEN 1 END) AS late, max(epoch) AS last_epoch
        FROM members GROUP BY ALL
    """
    expected = f"SELECT {', '.join(table.columns.keys())} FROM ({every})"
    return Check(table, members, expected, within(cells.time), (_begin("timestamp", cells), cells.time), cells)


def _delays(table: Table, cells: Cells) -> Check:
    members = f"""
        SELECT *, {_begin("log_time", cells)} AS {cells.time},
          coalesce(list_filter([1, 5, 15, 60, 300, 900, 3600, 21600, 86400, 604800],
            lambda bound: log_time - timestamp <= to_seconds(bound))[1], -1) AS up_to_seconds
        FROM log WHERE {_in_cells_of_span("log_time", cells)} AND NOT imported
    """
    expected = f"""
        SELECT {cells.time}, up_to_seconds, count(*) AS events, count(CASE WHEN late THEN 1 END) AS late,
          max(epoch) AS last_epoch
        FROM members GROUP BY ALL
    """
    return Check(table, members, expected, within(cells.time), (_begin("log_time", cells), cells.time), cells)


def _begin(instant: str, cells: Cells) -> str:
    """SQL: when the minute, window, hour or day of an instant began."""
    return f"time_bucket({_length(cells)}, {instant})"


def _in_cells_of_span(instant: str, cells: Cells) -> str:
    """Condition: in a minute, hour or the like that begins in the span. The instant alone tells which files to read."""
    near = f"{instant} >= TIMESTAMPTZ '{{since}}' AND {instant} < TIMESTAMPTZ '{{until}}' + {_length(cells)}"
    return f"{near} AND {within(_begin(instant, cells))}"


def _length(cells: Cells) -> str:
    return f"INTERVAL {rollups.WINDOW_MINUTES} MINUTES" if cells.time == "window_start" else f"INTERVAL 1 {cells.time}"
