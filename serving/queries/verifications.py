"""Verifications: how the tables were held against the event log, and what differed."""

from sqlalchemy import select

from contracts.tables import verifications
from serving.queries import Statement


def newest_verifications(first: int) -> Statement:
    """The newest outcomes, newest first."""
    return select(verifications).order_by(verifications.c.id.desc()).limit(first)
