"""Daily reports, as processing has kept them."""

from sqlalchemy import select

from contracts.tables import reports
from serving.queries import Statement
from serving.queries.paging import Page, paged


def report_of(day: str | None) -> Statement:
    """The report of a day; without one, the newest."""
    chosen = select(reports.c.figures, reports.c.made_at).order_by(reports.c.day.desc()).limit(1)
    return chosen if day is None else chosen.where(reports.c.day == day)


def report_days(page: Page) -> Statement:
    """Days that have a report, the newest first."""
    return paged(select(reports.c.day, reports.c.is_final), (reports.c.day,), page)
