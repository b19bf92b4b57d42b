"""The page over the whole stack: an event posted to the gateway shows without a reload."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser import needs_chromium, tab
from tests.e2e.millrace import TEST_PRODUCT, TEST_USER, Millrace

pytestmark = [pytest.mark.e2e, needs_chromium, pytest.mark.timeout(200)]


async def test_an_event_shows_on_the_open_page_and_the_books_close(millrace: Millrace) -> None:
    async with tab(millrace.status()["urls"]["page"].rstrip("/"), ready="#tile-eventsPerSecond") as opened:
        user_id = f"{TEST_USER}-{uuid.uuid4().hex[:8]}"
        for action in ("view", "add_to_cart"):
            assert millrace.post(_event(user_id, action)).status_code == 200
        row = opened.page.locator("#sessions li", has_text=user_id)
        await expect(row.first).to_be_visible(timeout=20_000)
        await expect(opened.page.locator(".verdict").first).to_have_attribute("data-residue", "0", timeout=20_000)


def _event(user_id: str, action: str) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex,
        "user_id": user_id,
        "session_id": f"of-{user_id}",
        "product_id": TEST_PRODUCT,
        "action": action,
        "timestamp": datetime.now(UTC).isoformat(),
    }
