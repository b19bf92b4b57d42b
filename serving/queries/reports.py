"""Daily reports, as processing has kept them."""

from sqlalchemy import select

from contracts.tables import reports
from serving.queries import Statement


def report_of(day: str | None) -> Statement:
    """The report of a day; without one, the newest."""
    chosen = select(reports.c.figures, reports.c.made_at).order_by(reports.c.day.desc()).limit(1)
    return chosen if day is None else chosen.where(reports.c.day == day)


def report_days(first: int) -> Statement:
    """Days that have a report, the newest first."""
    return select(reports.c.day, reports.c.is_final).order_by(reports.c.day.desc()).limit(first)
