"""What in a user agent speaks for a bot, as a score with its reason. Software that hides is not found here.

What a program says of itself weighs most. Libraries that phone apps are built with weigh less than half: they are as
often a customer's app as a script.
"""

from typing import Final, NamedTuple

from processing.enrichment.rules import Rules

BOT_FROM: Final = 50
"""The score from which an event counts as a bot's; 100 at most."""


class Evidence(NamedTuple):
    """How much speaks for a bot, 0 to 100, and what: a stable code."""

    score: int
    reason: str | None


NONE: Final = Evidence(0, None)
EMPTY: Final = Evidence(80, "empty_user_agent")
"""Nothing is said, or only that there is nothing: every browser says something."""
BARE: Final = Evidence(60, "bare_user_agent")
"""`Mozilla/5.0` and no more: every browser names its platform."""
KNOWN_CRAWLER: Final = Evidence(100, "known_crawler")
UNKNOWN_PROGRAM: Final = Evidence(30, "unknown_program")
"""A name without a platform: a shop's own app, or a script."""
APP_LIBRARY: Final = Evidence(40, "http_library")
HTTP_LIBRARY: Final = Evidence(90, "http_library")
HEADLESS_BROWSER: Final = Evidence(95, "headless_browser")
MONITORING: Final = Evidence(100, "monitoring")
SCANNER: Final = Evidence(100, "scanner")
"""Looks for holes, by its name or by what it tries in this very field."""

_RULES: Final = (
    (EMPTY, r"(?i)^\s*(?:-|null|none|undefined|\(null\)|unknown)?\s*$"),
    (
        SCANNER,
        r"(?i)\b(?:sqlmap|nikto|nmap|masscan|zgrab|nuclei|gobuster|dirbuster|feroxbuster|wpscan|acunetix|nessus|openvas)\b"
        r"|\$\{jndi:|\(\) *\{",
    ),
    (
        HEADLESS_BROWSER,
        r"(?i)headless|phantomjs|slimerjs|htmlunit|puppeteer|playwright|selenium|webdriver|\bcypress/|\bjsdom/"
        r"|\bsplash safari|wkhtmlto",
    ),
    (
        MONITORING,
        r"(?i)uptime|pingdom|statuscake|site24x7|newrelicpinger|datadog ?/?synthetics|catchpoint|dynatrace|checkly"
        r"|gtmetrix|chrome-lighthouse|\bptst/|kube-probe|googlehc|health-?check|blackbox[ -]exporter|^prometheus/"
        r"|^zabbix|nagios|\bappinsights$",
    ),
    (APP_LIBRARY, r"(?i)^(?:okhttp|dart)/"),
    (
        HTTP_LIBRARY,
        r"(?i)^(?:curl|libcurl|pycurl|wget|libwww-perl|lwp|winhttp|powershell|fasthttp|grpc|jakarta|java|python|aiohttp"
        r"|urllib|go-http-client|go-resty|apache-httpclient|apache-httpasyncclient|reactornetty|jetty|axios|node|undici"
        r"|got|superagent|deno|bun|ruby|faraday|httparty|rest-client|http\.rb|php|guzzlehttp|symfony|reqwest|hyper|ureq"
        r"|httpie|insomnia|postman|postmanruntime|restsharp|k6|locust|apachebench|vegeta)(?:[^a-z]|$)"
        r"|windowspowershell/",
    ),
    (
        KNOWN_CRAWLER,  # by what crawlers call themselves, and by the address that they leave for complaints
        r"(?i)(?:bot|crawler|spider|scraper)s?/v?[0-9]|compatible;[^()]*(?:bot|crawl|spider)|\+ ?https?://"
        r"|^(?:googleother|google-read-aloud|mediapartners-google|apis-google|feedfetcher-google)",
    ),
    (BARE, r"(?i)^\s*mozilla/[0-9.]+\s*(?:\(\s*(?:compatible;?)?\s*\))?\s*$"),
)


class Bots:
    """Finds the evidence. The first of `_RULES` that matches decides, then what the parser knows."""

    def __init__(self) -> None:
        self._rules = Rules((str(place), expression) for place, (_, expression) in enumerate(_RULES))

    def evidence(self, user_agent: str, *, spider: bool, platform: bool) -> Evidence:
        """What speaks for a bot in this user agent.

        `spider`: the parser knows it as a crawler. `platform`: the parser found an operating system or a device in it.
        """
        place = self._rules.first(user_agent)
        if place is not None:
            return _RULES[int(place)][0]
        if spider:
            return KNOWN_CRAWLER
        return NONE if platform or user_agent.startswith("Mozilla/") else UNKNOWN_PROGRAM
