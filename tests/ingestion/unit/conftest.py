"""Shared inputs: one good event of each subject, the rules, and a clock that stands still."""

from typing import Any

import pytest

from ingestion.validate import Rules, Validator
from schemas_avro import load_registry

NOW_MS = 1_772_366_400_000
"""2026-03-01T12:00:00Z"""
DAY_MS = 86_400_000


@pytest.fixture
def now_ms() -> int:
    return NOW_MS


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator(Rules(currency="USD", future_tolerance_ms=300_000, max_age_ms=7 * DAY_MS), load_registry())


@pytest.fixture
def click() -> dict[str, Any]:
    return {
        "event_id": "evt_1",
        "user_id": "user_1",
        "session_id": "s-1",
        "product_id": "p-1",
        "category": "shoes",
        "action": "view",
        "timestamp": NOW_MS,
    }


@pytest.fixture
def purchase() -> dict[str, Any]:
    return {
        "transaction_id": "txn_1",
        "user_id": "user_1",
        "session_id": "s-1",
        "product_id": "p-1",
        "category": "shoes",
        "amount": "59.90",
        "quantity": 2,
        "timestamp": NOW_MS,
        "payment_method": "card",
    }
