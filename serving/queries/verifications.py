"""Verifications: how the tables were held against the event log, and what differed."""

from sqlalchemy import select

from contracts.tables import verifications
from serving.queries import Statement
from serving.queries.paging import Page, paged


def verifications_page(page: Page) -> Statement:
    """Outcomes, the newest first."""
    return paged(select(verifications), (verifications.c.id,), page)
