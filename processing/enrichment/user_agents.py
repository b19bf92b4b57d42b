"""What a user agent says: browser and operating system by ua-parser's rules, device and bot evidence by ours on top."""

from functools import lru_cache
from typing import Final, NamedTuple

from ua_parser import Domain, PartialResult, load_lazy_builtins
from ua_parser.core import Device
from ua_parser.regex import Resolver

from processing.enrichment.bots import BOT_FROM, NONE, Bots
from processing.enrichment.rules import Rules

MAX_LENGTH: Final = 1_024
"""Characters of a user agent that are read; as many as the gateway lets pass."""
MAX_FAMILY_LENGTH: Final = 64
REMEMBERED: Final = 20_000
"""Distinct user agents kept: a big shop's day; 20 to 80 MB of text if all are as long as can be."""
OTHER: Final = "Other"

DEVICES: Final = ("desktop", "mobile", "tablet", "tv", "bot", "other")

_DEVICE_RULES: Final = (
    (
        "tv",  # the last are models of Fire TV
        r"(?i:smart-?tv|hbbtv|apple ?tv|google ?tv|android tv|tv safari|netcast|web0s|crkey|\bviera\b|\bvidaa\b"
        r"|\bbravia\b|\broku\b|nexus player)|\bAFT[A-Z]",
    ),
    ("other", r"PlayStation|Nintendo|Xbox|Watch ?OS"),
    ("tablet", r"iPad|PlayBook|Kindle|Tablet(?:[;:/ ]*\)|[;:/])|\bKF[A-Z]{2,}"),  # the last: models of Fire tablets
    # A browser on an Android phone says Mobile, one on a tablet does not. Apps do not keep to it.
    ("mobile", r"Mobi"),
    ("tablet", r"^Mozilla/.*Android"),
)
_MOBILE_SYSTEMS: Final = frozenset(
    {
        *("Android", "BREW", "Bada", "BlackBerry OS", "Brew MP", "Firefox OS", "HarmonyOS", "KaiOS", "Maemo", "MeeGo"),
        *("Nokia Series 30 Plus", "Nokia Series 40", "Sailfish", "Symbian OS", "Symbian^3", "Symbian^3 Anna"),
        *("Symbian^3 Belle", "Tizen", "Windows Mobile", "Windows Phone", "iOS", "webOS"),
    }
)
_DESKTOP_SYSTEMS: Final = frozenset(
    {
        *("Arch Linux", "BSD", "BackTrack", "CentOS", "Chrome OS", "Debian", "Fedora", "FreeBSD", "Gentoo", "Kubuntu"),
        *("Linux", "Linux Mint", "Lubuntu", "Mac OS", "Mac OS X", "Mageia", "Mandriva", "NetBSD", "OpenBSD"),
        *("PCLinuxOS", "Puppy", "Red Hat", "SUSE", "SerenityOS", "Slackware", "Solaris", "Ubuntu", "Windows"),
        "openSUSE",
    }
)
_GUESSED: Final = Device("Generic Feature Phone", "Generic", "Feature Phone")


class Agent(NamedTuple):
    """What is known of a user agent. An iPad that asks for desktop pages says it is a Mac, and is taken for one."""

    device: str | None
    """One of `DEVICES`, `bot` exactly when `bot` is true; None without a user agent."""
    browser: str | None
    os: str | None
    bot_score: int
    bot_reason: str | None
    bot: bool


NO_AGENT: Final = Agent(None, None, None, *NONE, False)
"""Events that a server sends have no user agent: that speaks for nothing."""


class UserAgents:
    """Parses user agents. It remembers the latest, which changes the time it takes and nothing else."""

    def __init__(self) -> None:
        self._parser = Resolver(load_lazy_builtins())
        self._bots = Bots()
        self._devices = Rules(_DEVICE_RULES)
        self._known = lru_cache(REMEMBERED)(self._parse)

    def identify(self, user_agent: str | None) -> Agent:
        """What `user_agent` says. Anything is accepted; what stands beyond `MAX_LENGTH` is not read."""
        return NO_AGENT if user_agent is None else self._known(user_agent[:MAX_LENGTH])

    def _parse(self, text: str) -> Agent:
        parsed = self._parser(text, Domain.ALL)
        browser = parsed.user_agent.family if parsed.user_agent else OTHER
        system = parsed.os.family if parsed.os else OTHER
        hardware = _hardware(parsed)
        spider = hardware is not None and hardware.brand == "Spider"
        found = self._bots.evidence(text, spider=spider, platform=hardware is not None or system != OTHER)
        bot = found.score >= BOT_FROM
        device = "bot" if bot else self._devices.first(text) or _device(system, hardware)
        return Agent(device, _family(browser), _family(system), *found, bot)


def _hardware(parsed: PartialResult) -> Device | None:
    """The device that was found. The parser takes unknown programs for feature phones, by how their names begin."""
    guessed = parsed.device == _GUESSED and parsed.user_agent is None
    return None if guessed else parsed.device


def _device(system: str, hardware: Device | None) -> str:
    if system in _DESKTOP_SYSTEMS:
        return "desktop"
    return "mobile" if system in _MOBILE_SYSTEMS or hardware else "other"


def _family(name: str) -> str:
    return name.replace("\0", "").strip()[:MAX_FAMILY_LENGTH].rstrip() or OTHER
