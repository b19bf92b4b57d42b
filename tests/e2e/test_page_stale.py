"""The page while gateway or processing stand still for real: its badge turns, and its advice names the part."""

import asyncio
import uuid
from contextlib import ExitStack

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser import chromium, needs_chromium, tab
from tests.e2e.millrace import TEST_USER, Millrace
from tests.e2e.test_page import event, page_of

pytestmark = [pytest.mark.e2e, needs_chromium, pytest.mark.timeout(400)]

PATIENCE_MS = 90_000
"""The badge is red a minute after the newest event."""


async def test_the_badge_turns_while_gateway_or_processing_stand_still_and_turns_back(millrace: Millrace) -> None:
    """First the one, then the other, without a commit between: the badge needs but one minute for both colours."""
    async with chromium() as browser, tab(browser, f"{page_of(millrace)}/quality") as opened:
        badge, banner = opened.page.locator("#fresh"), opened.page.locator("#banner")
        await _is_live(opened.page, millrace)
        with ExitStack() as processing:
            with millrace.standing_still("gateway"):
                with pytest.raises(httpx.TimeoutException):
                    await asyncio.to_thread(millrace.post, event(TEST_USER), timeout=3)
                await _turns(badge, "amber", "Quiet")
                assert await asyncio.to_thread(_not_ready, millrace) == {"gateway"}
                processing.enter_context(millrace.standing_still("processing"))
            answer = await asyncio.to_thread(millrace.post, event(TEST_USER))
            assert answer.status_code == 200  # Kafka keeps it meanwhile
            await _turns(badge, "red", "Stale")
            for advice in ("“millrace status”", "“millrace logs gateway”", "“millrace logs processing”"):
                await expect(banner).to_contain_text(advice)
            assert await asyncio.to_thread(_not_ready, millrace) == {"processing"}
            await expect(opened.page.locator("#books .verdict")).to_be_visible()  # old numbers stay in sight
        await _turns(badge, "red", "Behind")
        await expect(banner).to_contain_text("Processing is behind")
        await _is_live(opened.page, millrace)


def _not_ready(millrace: Millrace) -> set[str]:
    """Which parts the command that the banner names finds wanting."""
    return {part["name"] for part in millrace.status()["parts"] if not part["ready"]}


async def _turns(badge: Locator, level: str, label: str) -> None:
    await expect(badge).to_have_attribute("data-level", level, timeout=PATIENCE_MS)
    await expect(badge.locator("#fresh-label")).to_have_text(label)


async def _is_live(page: Page, millrace: Millrace) -> None:
    """Post until the page is as fresh as can be, without a reload."""
    for _ in range(20):
        answer = await asyncio.to_thread(millrace.post, event(f"{TEST_USER}-{uuid.uuid4().hex[:8]}"))
        assert answer.status_code == 200
        if await page.locator("#fresh[data-level=green]").count():
            break
        await asyncio.sleep(1)
    await expect(page.locator("#fresh-label")).to_have_text("Live")
    await expect(page.locator("#banner")).to_be_hidden()
