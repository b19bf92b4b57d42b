"""A report's figures, read from the serving store in one snapshot, by the rules by which everybody reads it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from contracts.projections import product_minutes, site_minutes
from contracts.rollup_reads import fixed, readable
from contracts.settings import PostgresSettings, ShopSettings
from processing import sketches
from processing.errors import ProcessingError
from processing.reporting.day import Day, day_of
from processing.reporting.figures import Carts, Customers, Oddity, Product, Quality, Report, Shoppers, Step, Totals
from processing.reporting.settings import ReportSettings
from processing.store import Transaction, one_transaction

TOP: Final = 5
_MOST_ODDITIES: Final = 10
_STEPS: Final = ("viewed", "added", "checkout", "purchased")
_GROUPS: Final = ("champions", "loyal", "returning", "new", "slipping", "lost")


class ReportError(ProcessingError):
    """There is nothing to report on. The message says why."""


class Reading:
    """Reads reports. Each is of one snapshot."""

    def __init__(self, postgres: PostgresSettings, shop: ShopSettings, options: ReportSettings) -> None:
        self._postgres = postgres
        self._shop = shop
        self._options = options
        self.zone = _zone(shop.time_zone)

    def report(self, asked: Day | None) -> Report:
        """The report of a day; without one, of the last whole day with events, else of the day so far.

        Raises ReportError where there are no events of it.
        """
        with one_transaction(
            self._postgres, self._postgres.db_schema, application_name="millrace-report", work_mem="64MB"
        ) as transaction:
            transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            epoch, watermark = _position(transaction)
            if asked is not None:
                return self._report(transaction, asked, epoch, watermark)
            today = day_of(watermark, self.zone)
            try:
                return self._report(transaction, today.before(), epoch, watermark)
            except ReportError:
                return self._report(transaction, today, epoch, watermark)

    def today(self) -> Day | None:
        """The day that the events have come to; None before the first."""
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            try:
                return day_of(_position(transaction)[1], self.zone)
            except ReportError:
                return None

    def _report(self, transaction: Transaction, day: Day, epoch: int, watermark: datetime) -> Report:
        start, until = day.start, min(day.end, _minute(watermark))
        totals = _totals(transaction, start, until) if start < until else None
        if totals is None or not totals.events:
            raise ReportError(
                f"there are no events of {day.name} ({day.zone.key}) before the watermark, {_told(watermark)}"
            )
        oddities, oddest = _oddities(transaction, start, until)
        return Report(
            day=day.name,
            time_zone=day.zone.key,
            since=_told(start),
            until=_told(until),
            epoch=epoch,
            is_final=self._is_final(transaction, day, watermark),
            currency=self._shop.currency,
            totals=totals,
            week_before=_totals(transaction, *day.week_before(until)),
            funnel=_funnel(transaction, start, until),
            top_products=_top_products(transaction, start, until),
            shoppers=_shoppers(transaction, start, until),
            customers=self._customers(transaction, until),
            carts=_carts(transaction, start, until, watermark - timedelta(minutes=self._shop.cart_minutes)),
            oddities=oddities,
            oddest=oddest,
            quality=_quality(transaction, start, until),
        )

    def _is_final(self, transaction: Transaction, day: Day, watermark: datetime) -> bool:
        """Whether the sessions that began in the day are over, and the time of its carts."""
        gap = timedelta(seconds=self._shop.session_gap_seconds)
        if watermark < day.end + max(gap, timedelta(minutes=self._shop.cart_minutes)):
            return False
        goes_on = transaction.query(
            "SELECT FROM sessions WHERE started_at >= $1 AND started_at < $2 AND ended_at > $3 LIMIT 1",
            (day.start, day.end, watermark - gap),
        )
        return not goes_on.num_rows

    def _customers(self, transaction: Transaction, until: datetime) -> list[Customers]:
        """Recency, frequency and money: of each customer by the orders placed until then."""
        options = self._options
        rows = transaction.query(
            "WITH customers AS (SELECT user_id, max(ordered_at) AS last, count(*) AS orders,"
            "  sum(revenue - refunded) AS spent FROM orders WHERE ordered_at < $1 AND NOT bot GROUP BY 1),"
            " ranked AS (SELECT *, percent_rank() OVER (ORDER BY spent) >= 0.8 AS much FROM customers)"
            " SELECT CASE WHEN last < $1 - $3 * interval '1 day' THEN 'lost'"
            "  WHEN last < $1 - $2 * interval '1 day' THEN 'slipping'"
            "  WHEN orders >= $4 AND much THEN 'champions' WHEN orders >= $4 THEN 'loyal'"
            "  WHEN orders > 1 THEN 'returning' ELSE 'new' END AS name,"
            " count(*) AS users, sum(orders)::bigint AS orders, sum(spent)::text AS revenue FROM ranked GROUP BY 1",
            (until, options.recent_days, options.lapsed_days, options.often_orders),
        ).to_pylist()
        found = {row["name"]: row for row in rows}
        none = {"users": 0, "orders": 0, "revenue": "0"}
        return [
            Customers(name, each["users"], each["orders"], _money(each["revenue"]))
            for name in _GROUPS
            for each in (found.get(name, none),)
        ]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ReportError(f"MILLRACE_SHOP_TIME_ZONE: {name!r} is no IANA time zone") from error


def _position(transaction: Transaction) -> tuple[int, datetime]:
    if transaction.query("SELECT to_regclass('epochs') AS there")["there"].to_pylist() == [None]:
        raise ReportError("there is no store yet: processing makes it when it starts")
    rows = transaction.query("SELECT epoch, watermark FROM epochs ORDER BY epoch DESC LIMIT 1").to_pylist()
    if not rows or rows[0]["watermark"] is None:
        raise ReportError("there are no events yet that the watermark has passed")
    return int(rows[0]["epoch"]), rows[0]["watermark"].astimezone(UTC)


def _readable(minutes: Table, start: datetime, until: datetime) -> str:
    """Statement for rows that hold every minute of the stretch once: whole days and hours where they are summed up."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(
        readable(minutes, fixed((start, until))).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    )


def _totals(transaction: Transaction, start: datetime, until: datetime) -> Totals:
    (row,) = transaction.query(
        "SELECT coalesce(sum(events), 0)::bigint AS events, coalesce(sum(views), 0)::bigint AS views,"
        " coalesce(sum(units), 0)::bigint AS units, coalesce(sum(revenue), 0)::text AS revenue,"
        " coalesce(sum(refunded), 0)::text AS refunded, array_agg(users) AS users, array_agg(buyers) AS buyers"
        f" FROM ({_readable(site_minutes, start, until)}) part WHERE NOT bot"
    ).to_pylist()
    (counts,) = transaction.query(
        "SELECT (SELECT count(*) FROM sessions WHERE started_at >= $1 AND started_at < $2 AND NOT bot) AS sessions,"
        " (SELECT count(*) FROM orders WHERE ordered_at >= $1 AND ordered_at < $2 AND NOT bot) AS orders",
        (start, until),
    ).to_pylist()
    return Totals(
        events=row["events"],
        views=row["views"],
        users=_size(row["users"]),
        buyers=_size(row["buyers"]),
        sessions=counts["sessions"],
        orders=counts["orders"],
        units=row["units"],
        revenue=_money(row["revenue"]),
        refunded=_money(row["refunded"]),
    )


def _funnel(transaction: Transaction, start: datetime, until: datetime) -> list[Step]:
    counts = ", ".join(f"count({step}_at) AS {step}" for step in _STEPS)
    (row,) = transaction.query(
        f"SELECT {counts} FROM sessions WHERE started_at >= $1 AND started_at < $2 AND NOT bot", (start, until)
    ).to_pylist()
    return [Step(step, row[step]) for step in _STEPS]


def _top_products(transaction: Transaction, start: datetime, until: datetime) -> list[Product]:
    rows = transaction.query(
        "SELECT product_id, (array_agg(category ORDER BY views DESC, category))[1] AS category,"
        " sum(views)::bigint AS views, sum(units)::bigint AS units, sum(revenue)::text AS revenue FROM ("
        "  SELECT product_id, category, sum(views) AS views, sum(units) AS units, sum(revenue) AS revenue"
        f"  FROM ({_readable(product_minutes, start, until)}) part WHERE NOT bot GROUP BY 1, 2) whole"
        " GROUP BY 1 HAVING sum(views) > 0 ORDER BY 3 DESC, 1 LIMIT $1",
        (TOP,),
    ).to_pylist()
    return [Product(**{**row, "revenue": _money(row["revenue"])}) for row in rows]


def _shoppers(transaction: Transaction, start: datetime, until: datetime) -> list[Shoppers]:
    rows = transaction.query(
        "SELECT bought, count(*) AS users, sum(sessions)::bigint AS sessions, sum(views)::bigint AS views,"
        " sum(minutes)::float8 AS minutes, sum(revenue)::text AS revenue FROM ("
        "  SELECT user_id, bool_or(purchases > 0) AS bought, count(*) AS sessions, sum(views) AS views,"
        "   sum(extract(epoch FROM ended_at - started_at)) / 60 AS minutes, sum(revenue) AS revenue"
        "  FROM sessions WHERE started_at >= $1 AND started_at < $2 AND NOT bot GROUP BY 1) people GROUP BY 1",
        (start, until),
    ).to_pylist()
    found = {row.pop("bought"): row for row in rows}
    none = {"users": 0, "sessions": 0, "views": 0, "minutes": 0.0, "revenue": "0"}
    return [
        Shoppers(group=group, **{**each, "minutes": round(each["minutes"], 1), "revenue": _money(each["revenue"])})
        for group, bought in (("buyers", True), ("window_shoppers", False))
        for each in (found.get(bought, none),)
    ]


def _carts(transaction: Transaction, start: datetime, until: datetime, decided: datetime) -> Carts:
    (row,) = transaction.query(
        "SELECT count(*) AS additions, count(purchased_at) AS bought,"
        " count(*) FILTER (WHERE purchased_at IS NULL AND happened_at < $3) AS abandoned"
        " FROM carts WHERE happened_at >= $1 AND happened_at < $2 AND NOT is_purchase AND NOT bot",
        (start, until, decided),
    ).to_pylist()
    return Carts(**row)


def _oddities(transaction: Transaction, start: datetime, until: datetime) -> tuple[int, list[Oddity]]:
    """How many windows were flagged, each counted once, and what was farthest off, each thing by its worst window.

    What went on for an hour is flagged a dozen times, and would leave no room for anything else.
    """
    surest = (
        "SELECT DISTINCT ON (window_start, window_end, metric, scope, subject) *, score / threshold AS sure"
        " FROM anomalies WHERE window_start >= $1 AND window_start < $2 AND standing"
        " ORDER BY window_start, window_end, metric, scope, subject, score / threshold DESC"
    )
    (count,) = transaction.query(f"SELECT count(*) AS n FROM ({surest}) flagged", (start, until))["n"].to_pylist()
    rows = transaction.query(
        "SELECT window_start, window_end, metric, scope, subject, direction, severity, expected, observed FROM ("
        f" SELECT DISTINCT ON (metric, scope, subject, direction) * FROM ({surest}) flagged"
        " ORDER BY metric, scope, subject, direction, sure DESC, window_start"
        ") worst ORDER BY sure DESC, window_start, scope, subject, metric LIMIT $3",
        (start, until, _MOST_ODDITIES),
    ).to_pylist()
    times = ("window_start", "window_end")
    return count, [Oddity(**{**row, **{name: _told(row[name]) for name in times}}) for row in rows]


def _quality(transaction: Transaction, start: datetime, until: datetime) -> Quality:
    (row,) = transaction.query(
        "SELECT (SELECT count(*) FROM rejected_events WHERE received_at >= $1 AND received_at < $2) AS rejected,"
        " (SELECT count(*) FROM quarantine WHERE log_time >= $1 AND log_time < $2) AS quarantined,"
        " duplicates, conflicts, late, verifications, mismatches, residue FROM (SELECT"
        "  coalesce(sum(duplicates), 0)::bigint AS duplicates, coalesce(sum(conflicts), 0)::bigint AS conflicts,"
        "  coalesce(sum(late), 0)::bigint AS late FROM epochs WHERE newest_log_time >= $1 AND newest_log_time < $2) e,"
        " (SELECT count(*) AS verifications, coalesce(sum(mismatches), 0)::bigint AS mismatches FROM verifications"
        '   WHERE "at" >= $1 AND "at" < $2) v,'
        " (SELECT records - applied - duplicates - quarantined - rejected AS residue FROM totals) t",
        (start, until),
    ).to_pylist()
    return Quality(**row)


def _size(parts: Sequence[bytes] | None) -> int:
    return round(sketches.estimate(sketches.unite(*parts))) if parts else 0


def _money(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.01"))


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _told(instant: Any) -> str:
    told: str = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return told
