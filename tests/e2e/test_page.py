"""The page over the whole stack: an event posted to the gateway shows without a reload."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as NotYet

from tests.browser import chromium, needs_chromium, tab
from tests.e2e.millrace import TEST_PRODUCT, TEST_USER, Millrace

pytestmark = [pytest.mark.e2e, needs_chromium, pytest.mark.timeout(200)]

SOON_SECONDS = 3.0
TRIES = 10


async def test_an_event_shows_on_the_open_page_within_three_seconds_and_the_books_close(millrace: Millrace) -> None:
    url = millrace.status()["urls"]["page"].rstrip("/")
    async with chromium() as browser, tab(browser, url, ready="#fresh-label") as opened:
        waits = [await _shown_after(opened.page, millrace)]
        while waits[-1] > SOON_SECONDS and len(waits) < TRIES:  # a busy machine, or cold code: it must be able to
            waits.append(await _shown_after(opened.page, millrace))
        assert min(waits) <= SOON_SECONDS, waits
        await expect(opened.page.locator(".verdict").first).to_have_attribute("data-residue", "0", timeout=20_000)


async def _shown_after(page: Page, millrace: Millrace) -> float:
    """Seconds from the gateway's answer to the visitor's row on the page."""
    user_id = f"{TEST_USER}-{uuid.uuid4().hex[:8]}"
    row = page.locator("#sessions li", has_text=user_id).first
    assert millrace.post(_event(user_id, "add_to_cart")).status_code == 200
    posted = time.monotonic()
    try:
        await row.wait_for(timeout=20_000)
    except NotYet:
        pytest.fail("the event did not show within 20 seconds")
    return time.monotonic() - posted


def _event(user_id: str, action: str) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex,
        "user_id": user_id,
        "session_id": f"of-{user_id}",
        "product_id": TEST_PRODUCT,
        "action": action,
        "timestamp": datetime.now(UTC).isoformat(),
    }
