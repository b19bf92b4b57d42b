"""User agents as they are met, and as they are made up."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.enrichment.bots import BOT_FROM
from processing.enrichment.user_agents import DEVICES, MAX_FAMILY_LENGTH, MAX_LENGTH, NO_AGENT, UserAgents

pytestmark = pytest.mark.unit

USER_AGENTS = UserAgents()
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"

PEOPLE = [
    (f"{WINDOWS} Chrome/124.0.0.0 Safari/537.36", "desktop", "Chrome", "Windows"),
    (f"{WINDOWS} Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0", "desktop", "Edge", "Windows"),
    (f"{WINDOWS} Chrome/123.0.0.0 Safari/537.36 OPR/109.0.0.0", "desktop", "Opera", "Windows"),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", "desktop", "IE", "Windows"),
    (
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; Tablet PC 2.0; .NET CLR 2.0.50727)",
        *("desktop", "IE", "Windows"),
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15",
        *("desktop", "Safari", "Mac OS X"),
    ),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0", "desktop", "Firefox", "Ubuntu"),
    (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {GECKO} Chrome/122.0.0.0 Safari/537.36",
        *("desktop", "Chrome", "Chrome OS"),
    ),
    (f"{IPHONE} Version/17.4 Mobile/15E148 Safari/604.1", "mobile", "Mobile Safari", "iOS"),
    (f"{IPHONE} Mobile/15E148 Instagram 325.0.3.34.90 (iPhone14,5; iOS 17_4)", "mobile", "Instagram", "iOS"),
    (f"{IPHONE} Mobile/21D61 [FBAN/FBIOS;FBAV/454.0.0.36.109;FBBV/577]", "mobile", "Facebook", "iOS"),
    (
        f"Mozilla/5.0 (Linux; Android 10; K) {GECKO} Chrome/124.0.0.0 Mobile Safari/537.36",
        *("mobile", "Chrome Mobile", "Android"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) {GECKO} SamsungBrowser/23.0 Chrome/115 Mobile Safari",
        *("mobile", "Samsung Internet", "Android"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 11; CUBOT X30) {GECKO} Chrome/124.0.0.0 Mobile Safari/537.36",
        *("mobile", "Chrome Mobile", "Android"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 11; Spider) {GECKO} Chrome/124.0.0.0 Mobile Safari/537.36",
        *("mobile", "Spider", "Android"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SM-S901B; wv) {GECKO} Chrome/121.0 Mobile Safari/537.36 WhatsApp/2.24",
        *("mobile", "WhatsApp", "Android"),
    ),
    ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1/29.3709; U; en) Presto/2.8.119", "mobile", "Opera Mini", "Other"),
    ("Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A.230901.001)", "mobile", "Android", "Android"),
    ("MyShop/4.2.1 CFNetwork/1494.0.7 Darwin/23.4.0", "mobile", "MyShop", "iOS"),
    (
        "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Version/16.6 Mobile/15E148 Safari/604.1",
        *("tablet", "Mobile Safari", "iOS"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SM-X700) {GECKO} Chrome/123.0.0.0 Safari/537.36",
        *("tablet", "Chrome", "Android"),
    ),
    ("Mozilla/5.0 (Android 13; Tablet; rv:125.0) Gecko/125.0 Firefox/125.0", "tablet", "Firefox Mobile", "Android"),
    (
        f"Mozilla/5.0 (Linux; Android 9; KFMAWI) {GECKO} Silk/120.4.1 like Chrome/120.0 Safari/537.36",
        *("tablet", "Amazon Silk", "Android"),
    ),
    (f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.5) {GECKO} 85.0/6.5 TV Safari/537.36", "tv", "Safari", "Tizen"),
    (f"Mozilla/5.0 (Web0S; Linux/SmartTV) {GECKO} Chrome/94.0 Safari/537.36 WebAppManager", "tv", "Chrome", "Web0S"),
    (
        f"Mozilla/5.0 (Linux; Android 9; AFTSSS) {GECKO} Silk/112.5.1 like Chrome/112.0 Safari/537.36",
        *("tv", "Amazon Silk", "Android"),
    ),
    ("Roku/DVP-12.0 (12.0.0.4182-88)", "tv", "Roku", "Roku"),
    ("AppleTV11,1/11.1", "tv", "Other", "ATV OS X"),
    (
        f"Mozilla/5.0 (PlayStation; PlayStation 5/6.50) {GECKO} Version/16.0 Safari/605.1.15",
        *("other", "Safari", "Other"),
    ),
    ("Mozilla/5.0 (Plan9; rio) Mothra/1.0", "other", "Other", "Other"),
]

BOTS = [
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "known_crawler"),
    (
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {GECKO} Chrome/124 Mobile Safari/537.36 "
        "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "known_crawler",
    ),
    (
        f"Mozilla/5.0 {GECKO[:-1]}; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116",
        "known_crawler",
    ),
    (f"Mozilla/5.0 {GECKO[:-1]}; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "known_crawler"),
    ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "known_crawler"),
    (
        f"Mozilla/5.0 (Linux; Android 5.0) {GECKO} Mobile Safari/537.36 (compatible; Bytespider; spider@example.com)",
        "known_crawler",
    ),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "known_crawler"),
    ("ia_archiver", "known_crawler"),
    ("GoogleOther", "known_crawler"),
    ("Mozilla/5.0 (compatible; Acme; +https://acme.example/why)", "known_crawler"),
    ("curl/8.5.0", "http_library"),
    ("Wget/1.21.4", "http_library"),
    ("python-requests/2.31.0", "http_library"),
    ("Python/3.11 aiohttp/3.9.3", "http_library"),
    ("Go-http-client/2.0", "http_library"),
    ("Apache-HttpClient/4.5.14 (Java/17.0.9)", "http_library"),
    ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "http_library"),
    ("Ruby", "http_library"),
    (f"{LINUX} HeadlessChrome/124.0.6367.60 Safari/537.36", "headless_browser"),
    (f"{WINDOWS} Playwright/1.43 Chrome/124 Safari/537.36", "headless_browser"),
    (f"{LINUX} Chrome/124.0.0.0 Safari/537.36 Cypress/13.7.1", "headless_browser"),
    (f"{LINUX} Chrome/98.0.4695.0 Safari/537.36 Chrome-Lighthouse", "monitoring"),
    ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "monitoring"),
    ("kube-probe/1.29", "monitoring"),
    ("sqlmap/1.7#stable (http://sqlmap.org)", "scanner"),
    ("${jndi:ldap://a.example/x}", "scanner"),
    ("", "empty_user_agent"),
    (" \t", "empty_user_agent"),
    ("-", "empty_user_agent"),
    ("Mozilla/5.0", "bare_user_agent"),
    ("Mozilla/5.0 (compatible)", "bare_user_agent"),
]

DOUBTFUL = [
    ("okhttp/4.12.0", "http_library"),
    ("Dart/3.2 (dart:io)", "http_library"),
    ("MyShop/5.1", "unknown_program"),
    ("Wappalyzer", "unknown_program"),
    ("analytics-python/2.3.2", "unknown_program"),
]


@pytest.mark.parametrize(("user_agent", "device", "browser", "system"), PEOPLE)
def test_a_persons_device_browser_and_system_are_named(user_agent: str, device: str, browser: str, system: str) -> None:
    agent = USER_AGENTS.identify(user_agent)
    assert (agent.device, agent.browser, agent.os) == (device, browser, system)
    assert (agent.bot_score, agent.bot_reason, agent.bot) == (0, None, False)


@pytest.mark.parametrize(("user_agent", "reason"), BOTS)
def test_a_bot_that_does_not_hide_is_told_with_its_reason(user_agent: str, reason: str) -> None:
    agent = USER_AGENTS.identify(user_agent)
    assert (agent.bot_reason, agent.bot, agent.device) == (reason, True, "bot")
    assert BOT_FROM <= agent.bot_score <= 100


@pytest.mark.parametrize(("user_agent", "reason"), DOUBTFUL)
def test_what_may_be_a_customers_app_is_noted_and_not_a_bot(user_agent: str, reason: str) -> None:
    agent = USER_AGENTS.identify(user_agent)
    assert (agent.bot_reason, agent.bot, agent.device) == (reason, False, "other")
    assert 0 < agent.bot_score < BOT_FROM


def test_a_missing_user_agent_speaks_for_nothing() -> None:
    assert USER_AGENTS.identify(None) == NO_AGENT == (None, None, None, 0, None, False)


@pytest.mark.parametrize("length", [MAX_LENGTH - 1, MAX_LENGTH, MAX_LENGTH + 1])
def test_nothing_is_read_beyond_the_limit(length: int) -> None:
    user_agent = f"{WINDOWS} Chrome/124.0 ".ljust(length - len("phantomjs"), "x") + "phantomjs"
    assert USER_AGENTS.identify(user_agent).bot is (length <= MAX_LENGTH)


@given(st.text() | st.text("aA1 /;()+:.-\0\n", max_size=2_000))
def test_any_text_gives_an_agent_within_its_bounds(user_agent: str) -> None:
    agent = USER_AGENTS.identify(user_agent)
    assert agent.device in DEVICES
    assert agent.bot is (agent.bot_score >= BOT_FROM) is (agent.device == "bot")
    assert 0 <= agent.bot_score <= 100
    assert (agent.bot_reason is None) is (agent.bot_score == 0)
    for family in (agent.browser, agent.os):
        assert family is not None
        assert 0 < len(family) <= MAX_FAMILY_LENGTH
        assert "\0" not in family


@given(st.text("abc\0", min_size=70, max_size=200))
def test_a_family_that_is_captured_from_the_text_is_bounded(name: str) -> None:
    browser = USER_AGENTS.identify(f"{name}/4.2.1 CFNetwork/1494.0.7 Darwin/23.4.0").browser
    assert browser is not None
    assert len(browser) <= MAX_FAMILY_LENGTH
    assert "\0" not in browser


@pytest.mark.parametrize(
    "trap", ["a/1 ", "(;", "bot ", "compatible; ", "Android ", "iPhone ", "Mozilla/5.0 (Linux; U; Android 4;", "HbbTV;"]
)
def test_a_user_agent_made_to_be_slow_is_not(trap: str) -> None:
    """Thirty different ones of full length; a backtracking engine takes milliseconds for each, this one 50 µs."""
    begun = time.process_time()
    for number in range(30):
        USER_AGENTS.identify(f"{number} {trap * MAX_LENGTH}")
    assert time.process_time() - begun < 0.03
