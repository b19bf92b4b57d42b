"""The page over the whole stack: an event posted to the gateway shows without a reload."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import chromium, needs_chromium, tab
from tests.e2e.millrace import TEST_PRODUCT, TEST_USER, Millrace

pytestmark = [pytest.mark.e2e, needs_chromium, pytest.mark.timeout(200)]

SOON_SECONDS = 3.0
TRIES = 8


async def test_an_event_shows_on_the_open_page_within_three_seconds_of_its_commit(millrace: Millrace) -> None:
    url = millrace.status()["urls"]["page"].rstrip("/")
    user_id = f"{TEST_USER}-{uuid.uuid4().hex[:8]}"
    async with chromium() as browser:
        async with tab(browser, f"{url}/sessions?id={user_id}", ready="#fresh-label") as opened:
            waits = [await _shown_after(opened.page, millrace, user_id, 1)]
            while waits[-1] > SOON_SECONDS and len(waits) < TRIES:  # a busy machine, or cold code: it must be able to
                waits.append(await _shown_after(opened.page, millrace, user_id, len(waits) + 1))
            assert min(waits) <= SOON_SECONDS, waits
        async with tab(browser, f"{url}/quality") as opened:
            await expect(opened.page.locator(".verdict")).to_have_attribute("data-residue", "0", timeout=20_000)


async def _shown_after(page: Page, millrace: Millrace, user_id: str, number: int) -> float:
    """Seconds from the commit of a visitor's next event until the page shows so many; nobody else sends any."""
    assert millrace.post(_event(user_id, "add_to_cart")).status_code == 200
    shown = "1 event" if number == 1 else f"{number} events"
    await page.locator("#sessions li", has_text=shown).wait_for(timeout=20_000)
    at = datetime.now(UTC)
    committed_at: str = millrace.ask("{ asOf { committedAt } }")["asOf"]["committedAt"]
    return (at - datetime.fromisoformat(committed_at)).total_seconds()


def _event(user_id: str, action: str) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex,
        "user_id": user_id,
        "session_id": f"of-{user_id}",
        "product_id": TEST_PRODUCT,
        "action": action,
        "timestamp": datetime.now(UTC).isoformat(),
    }
