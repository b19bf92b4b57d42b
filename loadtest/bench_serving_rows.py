"""A large shop for the bench of serving, made by Postgres itself: minutes, what they sum up to, and sessions."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import contracts.alerts
import contracts.models  # noqa: F401 - they join the metadata
from contracts.rollups import COARSER, WINDOW_MINUTES
from contracts.tables import metadata

END: Final = datetime(2026, 3, 1, tzinfo=UTC)
"""When the shop was last heard of; a midnight, so that every hour and day before it is summed up."""
PRODUCTS: Final = 1000
_A_DAY: Final = 24 * 60 * PRODUCTS
_STEP: Final = """'["' || lpad(at::text, 15, '0') || '","view","e-' || n || '","p-' || n % 1000 || '","/p/1"]'"""
_MINUTES: Final = """
INSERT INTO product_minutes (minute, product_id, category, bot, events, views, clicks, adds, purchases, units, revenue,
                             refunded, users, buyers, late, last_epoch)
SELECT $1::timestamptz + (n / 1000) * interval '1 minute', 'p-' || n % 1000, 'c-' || n % 10, false, 2, 1 + n % 3, n % 2,
       n % 2, n % 2, n % 3, (n % 500) / 10.0, 0, ''::bytea, ''::bytea, 0, 1
FROM generate_series(0, $2::bigint - 1) n"""
_SESSIONS: Final = f"""
INSERT INTO sessions (session_id, started_at, ended_at, events, views, clicks, searches, adds, removes, checkouts,
                      purchases, units, revenue, path, first_key, user_id, entry_page, exit_page, device, browser, os,
                      medium, category, bot_evidence, bot_score, bot, viewed_at, late, last_epoch)
SELECT 's-' || n, started, started + interval '5 minutes', 6, 3, 1, 1, 1, 0, 0, n % 2, n % 2, (n % 500) / 10.0,
       array_fill({_STEP}, ARRAY[6]), 'k', 'u-' || n % 100000, '/home', '/cart', 'mobile', 'Safari', 'iOS',
       'direct', 'c-' || n % 10, '000', 0, false, started, 0, 1
FROM (SELECT n, started, extract(epoch FROM started)::bigint * 1000 AS at
      FROM (SELECT n, $1::timestamptz + n * (($2::timestamptz - $1) / $3::bigint) AS started
            FROM generate_series(0, $3::bigint - 1) n) spread) made"""
_EPOCH: Final = """
INSERT INTO epochs (epoch, started_at, committed_at, offsets, newest_log_time, event_time_by_partition, watermark)
VALUES (1, $1, $1, '{}', $1, '{}', $1)"""

NEXT_EPOCH: Final = """
INSERT INTO epochs (epoch, started_at, committed_at, offsets, newest_log_time, event_time_by_partition, watermark)
SELECT epoch + 1, started_at, committed_at, '{}', newest_log_time, '{}', watermark
FROM epochs ORDER BY epoch DESC LIMIT 1 RETURNING epoch"""


def days_of(minute_rows: int) -> int:
    """How many days of the shop that many product minutes are, begun ones included."""
    return -(-minute_rows // _A_DAY)


async def make_shop(connection: Any, minute_rows: int, sessions: int) -> None:
    """All tables of the contract, with that many product minutes and sessions; every hour and day is summed up.

    `connection` is asyncpg's, in an empty schema.
    """
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    for table in metadata.sorted_tables:
        await connection.execute(str(CreateTable(table).compile(dialect=dialect)))
    start = END - timedelta(days=days_of(minute_rows))
    await connection.execute(_MINUTES, start, minute_rows, timeout=None)
    await connection.execute(_summed("product_minutes", "category_minutes", "minute"))
    await connection.execute(_summed("product_minutes", "site_minutes", "minute"))
    for name, coarse in COARSER.items():
        for summed_up, unit in zip(coarse, ("hour", "day"), strict=True):
            await connection.execute(_summed(name, summed_up.name, f"date_trunc('{unit}', minute, 'UTC')"))
    window = f"date_bin('{WINDOW_MINUTES} minutes', minute, 'epoch')"
    await connection.execute(_summed("category_minutes", "category_windows", window))
    for grain, unit in (("hour", "hour"), ("day", "day"), ("window_hour", "hour")):
        await connection.execute(
            "INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, fine_gone)"
            f" SELECT '{grain}', {unit}, false, 0, now(), false FROM site_{unit}s GROUP BY {unit}"
        )
    await connection.execute(_SESSIONS, start, END, sessions, timeout=None)
    await connection.execute(_EPOCH, END)
    await connection.execute("INSERT INTO last_change DEFAULT VALUES")
    for table in metadata.sorted_tables:
        for index in table.indexes:
            await connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
        await connection.execute(f"VACUUM (ANALYZE) {table.name}")


def _summed(source: str, table: str, time: str) -> str:
    """SQL that sums one table up to another: by its keys, the time of which is `time` of the source."""
    keys = [column.name for column in metadata.tables[table].primary_key]
    told = {"users": "''::bytea", "buyers": "''::bytea", "last_epoch": "1", keys[0]: time}
    names = [column.name for column in metadata.tables[table].columns]
    values = ", ".join(told.get(name, name if name in keys else f"sum({name})") for name in names)
    groups = ", ".join(told.get(key, key) for key in keys)
    # In order, as rows lie that are written while time passes.
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {source} GROUP BY {groups} ORDER BY {groups}"
