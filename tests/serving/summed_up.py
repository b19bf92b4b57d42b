"""Minutes summed up to hours and days, as processing would once the watermark has passed them: for tests of reading."""

from datetime import datetime, timedelta
from typing import Final

from datasketches import compact_theta_sketch, theta_union
from sqlalchemy import Interval, Table, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.projections import category_minutes, delays
from contracts.rollups import COARSER, WINDOW_MINUTES, category_windows, delay_hours, roll_ups
from contracts.tables import metadata
from serving.sketches import LG_K
from serving.windows import ORIGIN

_SKETCHES: Final = ("users", "buyers")


async def sum_up(connection: AsyncConnection, until: datetime, *, drop: bool) -> None:
    """Make all that ends by `until`, a midnight, and drop or spoil its minutes: nobody reads those."""
    if not drop:  # where minutes are dropped, windows are too
        await _sum(connection, category_minutes, category_windows, "window_start", until)
    for name, (hours, days) in COARSER.items():
        minutes = metadata.tables[name]
        await _sum(connection, minutes, hours, "hour", until)
        await _sum(connection, minutes, days, "day", until)
        await _spoil(connection, minutes, until, drop=drop)
    await _sum(connection, delays, delay_hours, "hour", until)
    await _spoil(connection, delays, until, drop=drop)
    for grain, unit, table in (
        ("hour", "hour", "site_hours"),
        ("day", "day", "site_days"),
        ("window_hour", "hour", "category_hours"),
        ("delay_hour", "hour", ""),
    ):
        source = metadata.tables[table] if table else delay_hours
        starts = select(source.c[unit]).distinct()
        cells = [
            {
                "grain": grain,
                "starts_at": start,
                "stale": False,
                "marks": 0,
                "made_at": until,
                "fine_gone": drop and grain != "window_hour",
            }
            for (start,) in await connection.execute(starts)
        ]
        await connection.execute(insert(roll_ups), cells)


async def _sum(connection: AsyncConnection, minutes: Table, coarse: Table, unit: str, until: datetime) -> None:
    """Of the minutes those columns that the roll-up has; `unit` is its first, the time."""
    time = minutes.c.minute
    keys = [column for column in minutes.primary_key if column is not time]
    window = literal(timedelta(minutes=WINDOW_MINUTES), Interval)
    start = (
        func.date_bin(window, time, literal(ORIGIN, time.type))
        if unit == "window_start"
        else func.date_trunc(unit, time, "UTC")
    ).label(unit)
    summed = {*coarse.columns.keys()} - {*_SKETCHES, unit, *(key.name for key in keys)}
    numbers = [minutes.c[name] for name in sorted(summed)]
    sums = [(func.max if column.name == "last_epoch" else func.sum)(column).label(column.name) for column in numbers]
    sketches = [func.array_agg(minutes.c[name]).label(name) for name in _SKETCHES if name in coarse.c]
    rows = await connection.execute(select(start, *keys, *sums, *sketches).where(time < until).group_by(start, *keys))
    made = [{**row, **{name: _united(row[name]) for name in _SKETCHES if name in row}} for row in rows.mappings()]
    await connection.execute(insert(coarse), made)


async def _spoil(connection: AsyncConnection, minutes: Table, until: datetime, *, drop: bool) -> None:
    old = minutes.c.minute < until
    if drop:
        await connection.execute(delete(minutes).where(old))
    else:
        keys = {column.name for column in minutes.primary_key}
        numbers = [column for column in minutes.c if column.name not in {*keys, *_SKETCHES}]
        await connection.execute(minutes.update().where(old).values({column: column + 1000 for column in numbers}))


def _united(sketches: list[bytes]) -> bytes:
    union = theta_union(LG_K)
    for sketch in sketches:
        if sketch:
            union.update(compact_theta_sketch.deserialize(sketch))
    united: bytes = union.get_result().serialize()
    return united
