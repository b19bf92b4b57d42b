"""The serving store's roll-ups: minutes summed up to hours, hours to days (UTC), and when a reader may use them.

A minute table's roll-ups have its columns, with `hour` or `day` in the place of `minute`. Rows of one cell sum up to
the row of the coarser cell, sketches by union; so a long range is read from few rows, whatever the mix of grains.
Categories are summed up to windows of five minutes, too, as far as money goes: revenue by such windows is asked often.

**The rule.** Rows of a grain for the cell that begins at `starts_at` may be used exactly when `roll_ups` has that cell
and it is not `stale`; they then say what the finer rows of the cell say. Otherwise the finer rows are read. Everything
is in one database, so one snapshot settles it. `contracts.rollup_reads` has the rule as SQL.

An hour is made once the watermark has passed its end, a day once it has passed the day's and every hour in it is
made. An epoch that touches a cell made before marks it stale in its own transaction; it is made again a little later.
Where a retention is set, the finer rows of old cells are gone (`fine_gone`). Such a cell is never stale: late minutes
are added to the hour itself. Windows that begin or end within it can no longer be told, so what is summed up to five
minutes goes with the minutes, and is not to be read in such an hour.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, text

from contracts.projections import category_minutes, delays, product_minutes, site_minutes
from contracts.tables import count_column, metadata, money_type, time_type

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

GRAINS: Final = {
    "hour": HOUR,
    "day": DAY,
    "window_hour": HOUR,
    "session_hour": HOUR,
    "conversion_hour": HOUR,
    "delay_hour": HOUR,
}
"""Length of the cells of each grain of the registry; which tables a grain covers is `TABLES`."""

roll_ups: Final = Table(
    "roll_ups",
    metadata,
    Column("grain", Text, primary_key=True),
    Column("starts_at", time_type, primary_key=True),
    Column("stale", Boolean, nullable=False, comment="touched since it was made, or in the making: read what is finer"),
    Column("marks", BigInteger, nullable=False, comment="how often it was marked stale"),
    Column("made_at_epoch", BigInteger, comment="the last epoch committed when it was made"),
    Column("made_at", time_type, nullable=False, comment="when it was made, or last begun to be"),
    Column("making", BigInteger, comment="number of the making among all; a cell made again gets a larger one"),
    Column("fine_gone", Boolean, nullable=False, comment="the finer rows were dropped: this is all there is"),
    Index("roll_ups_stale", "starts_at", postgresql_where=text("stale")),
    Index("roll_ups_kept", "grain", "starts_at", postgresql_where=text("NOT fine_gone")),
    Index("roll_ups_making", "making"),
    comment="The cells that have rows in the roll-ups, and whether those may be used.",
    postgresql_with={"fillfactor": 70},
)


def _coarser(fine: Table, name: str, time: str, comment: str, only: Collection[str] | None = None) -> Table:
    """A table with the columns of `fine`, its first, the time, under another name; of those not in its key, `only`."""
    _, *others = fine.columns
    return Table(
        name,
        metadata,
        Column(time, time_type, primary_key=True),
        *(
            Column(each.name, each.type, primary_key=each.primary_key, nullable=each.nullable, comment=each.comment)
            for each in others
            if only is None or each.primary_key or each.name in only
        ),
        comment=comment,
    )


product_hours: Final = _coarser(product_minutes, "product_hours", "hour", "product_minutes by hour.")
category_hours: Final = _coarser(category_minutes, "category_hours", "hour", "category_minutes by hour.")
site_hours: Final = _coarser(site_minutes, "site_hours", "hour", "site_minutes by hour.")
product_days: Final = _coarser(product_minutes, "product_days", "day", "product_minutes by day, UTC.")
category_days: Final = _coarser(category_minutes, "category_days", "day", "category_minutes by day, UTC.")
site_days: Final = _coarser(site_minutes, "site_days", "day", "site_minutes by day, UTC.")
category_windows: Final = _coarser(
    category_minutes,
    "category_windows",
    "window_start",
    "Money of category_minutes in windows of five minutes, made an hour at a time.",
    ("purchases", "units", "revenue", "refunds", "refunded", "late", "last_epoch"),
)
delay_hours: Final = _coarser(delays, "delay_hours", "hour", "delays by hour of arrival.")


def _bookkeeping() -> list[Column[Any]]:
    return [
        Column("late", BigInteger, nullable=False, comment="late events in it"),
        Column("last_epoch", BigInteger, nullable=False, comment="the newest epoch that touched a row of it"),
    ]


session_hours: Final = Table(
    "session_hours",
    metadata,
    Column("hour", time_type, primary_key=True, comment="in which the session began"),
    Column("device", Text, primary_key=True, comment="empty where it is not known"),
    Column("medium", Text, primary_key=True, comment="empty where it is not known"),
    Column("bot", Boolean, primary_key=True),
    count_column("sessions"),
    Column("bounces", BigInteger, nullable=False, comment="sessions of exactly one event"),
    count_column("events"),
    Column("duration_ms", BigInteger, nullable=False, comment="sum, from first to last event"),
    Column("revenue", money_type, nullable=False),
    Column("viewed", BigInteger, nullable=False, comment="sessions that reached the funnel's step viewed_at"),
    Column("added", BigInteger, nullable=False, comment="the same for added_at"),
    Column("checkouts", BigInteger, nullable=False, comment="the same for checkout_at"),
    Column("purchased", BigInteger, nullable=False, comment="the same for purchased_at"),
    Column("convert_ms", BigInteger, nullable=False, comment="sum, from viewed_at to purchased_at"),
    *_bookkeeping(),
    comment="Sessions by the hour in which they began. Made when all of them are completed.",
)

journey_hours: Final = Table(
    "journey_hours",
    metadata,
    Column("hour", time_type, primary_key=True, comment="in which the session began"),
    Column("bot", Boolean, primary_key=True),
    Column("from_step", Text, primary_key=True, comment="an action"),
    Column("to_step", Text, primary_key=True, comment="the action that came next, another one"),
    count_column("transitions"),
    Column("sessions", BigInteger, nullable=False, comment="sessions with at least one"),
    comment="Moves between the steps of sessions' paths; repetitions of one action are one visit.",
)

step_hours: Final = Table(
    "step_hours",
    metadata,
    Column("hour", time_type, primary_key=True, comment="in which the session began"),
    Column("bot", Boolean, primary_key=True),
    Column("step", Text, primary_key=True, comment="an action"),
    count_column("visits"),
    Column("sessions", BigInteger, nullable=False, comment="sessions with at least one"),
    Column("entries", BigInteger, nullable=False, comment="sessions that began with it"),
    Column("exits", BigInteger, nullable=False, comment="sessions that ended with it and whose path is whole"),
    Column("repeats", BigInteger, nullable=False, comment="events beyond the first of each visit"),
    comment="The steps themselves. Entries sum up to the sessions, exits to those whose path is whole.",
)

pair_hours: Final = Table(
    "pair_hours",
    metadata,
    Column("hour", time_type, primary_key=True, comment="in which the session began"),
    Column("product_id", Text, primary_key=True),
    Column("other_id", Text, primary_key=True, comment="another product, or the same one: then its own sessions"),
    Column("sessions", BigInteger, nullable=False, comment="sessions in which both were viewed"),
    comment="Products viewed in one session, within its path, each pair both ways; sessions of bots are left out.",
)

conversion_hours: Final = Table(
    "conversion_hours",
    metadata,
    Column("window_start", time_type, primary_key=True, comment="of the five minutes in which the clicks were"),
    Column("product_id", Text, primary_key=True),
    Column("bot", Boolean, primary_key=True),
    count_column("clicks"),
    Column("converted", BigInteger, nullable=False, comment="clicks with a purchase within ten minutes"),
    Column("purchases", BigInteger, nullable=False, comment="different purchases among those; not additive"),
    *_bookkeeping(),
    comment="Clicks in windows of five minutes, made an hour at a time.",
)
"""One purchase may be led to by clicks of two windows, so `purchases` of longer windows is not a sum of these."""

WINDOW_MINUTES: Final = 5
"""Length of the windows of `conversion_hours` and of `category_windows`."""

TABLES: Final[dict[str, tuple[Table, ...]]] = {
    "hour": (product_hours, category_hours, site_hours),
    "day": (product_days, category_days, site_days),
    "window_hour": (category_windows,),
    "session_hour": (session_hours, journey_hours, step_hours, pair_hours),
    "conversion_hour": (conversion_hours,),
    "delay_hour": (delay_hours,),
}
"""The tables of each grain: all of them may be used, or none."""

COARSER: Final = {
    "product_minutes": (product_hours, product_days),
    "category_minutes": (category_hours, category_days),
    "site_minutes": (site_hours, site_days),
}
"""The roll-ups of each minute table: by hour, by day."""
