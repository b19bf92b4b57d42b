"""Who comes to the shop: regulars who return, strangers, and bots; what device they use and where they come from."""

from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import quote_plus

from faker import Faker

from loadtest.catalogue import CATEGORIES, Ranked

_RETURNING_SHARE: Final = 0.6
"""Share of human visits by somebody who has been here before."""
_LOYALTY_EXPONENT: Final = 0.6

BOT_USER_AGENTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "python-requests/2.32.3",
)

_CAMPAIGNS: Final = ("spring_sale", "newsletter_12", "retargeting", "influencer")
_SEARCH_ENGINES: Final = ("https://www.google.com/", "https://www.bing.com/", "https://duckduckgo.com/")
_SOCIAL: Final = ("https://www.instagram.com/", "https://www.facebook.com/", "https://www.reddit.com/", "https://t.co/")


@dataclass(frozen=True, slots=True)
class Person:
    """A visitor as the shop sees one. Names and addresses never leave the till, so there are none."""

    user_id: str
    user_agent: str
    device: str
    country: str
    favourites: tuple[str, ...]
    """Categories this person looks at."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a visit came from."""

    referrer: str | None
    landing_query: str
    """Query string of the landing page, with its `?`; empty where there is none."""


class Population:
    """The regulars, and an endless supply of strangers."""

    def __init__(self, dice: Random, fake: Faker, regulars: int) -> None:
        self._devices = [_device(dice, fake) for _ in range(200)]
        self._countries = [fake.country_code() for _ in range(40)]
        self._regulars = Ranked(
            [self._person(dice, f"{fake.user_name()}-{n:05d}") for n in range(regulars)], _LOYALTY_EXPONENT
        )

    def visitor(self, dice: Random) -> Person:
        """Whoever comes next; a stranger has an id nobody had before."""
        if dice.random() < _RETURNING_SHARE:
            return self._regulars.pick(dice)
        return self._person(dice, f"anon-{dice.getrandbits(64):016x}")

    def bot(self, dice: Random) -> Person:
        """A crawler: one of few addresses, and says what it is."""
        number = dice.randrange(12)
        agent = BOT_USER_AGENTS[number % len(BOT_USER_AGENTS)]
        return Person(f"bot-{number:02d}", agent, "bot", "US", tuple(CATEGORIES))

    def _person(self, dice: Random, user_id: str) -> Person:
        agent, device = dice.choice(self._devices)
        favourites = tuple(dice.sample(list(CATEGORIES), dice.randint(1, 3)))
        return Person(user_id, agent, device, dice.choice(self._countries), favourites)


def _device(dice: Random, fake: Faker) -> tuple[str, str]:
    """A user agent and the kind of device it is on: somewhat more than half of them are phones."""
    if dice.random() < 0.5:
        platform = dice.choice((fake.android_platform_token, fake.ios_platform_token))()
        agent = f"Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36"
    else:
        agent = dice.choice((fake.chrome, fake.firefox, fake.safari))()
    return agent, "mobile" if "Mobile" in agent else "desktop"


def source(dice: Random, wanted: str) -> Source:
    """Direct, search, social or campaign, in proportions usual for a shop. `wanted` is what was searched for."""
    roll = dice.random()
    if roll < 0.35:
        return Source(None, "")
    if roll < 0.70:
        return Source(f"{dice.choice(_SEARCH_ENGINES)}search?q={quote_plus(wanted)}", "")
    if roll < 0.83:
        return Source(dice.choice(_SOCIAL), "")
    campaign = dice.choice(_CAMPAIGNS)
    medium = "email" if campaign.startswith("newsletter") else "cpc"
    return Source(dice.choice(_SEARCH_ENGINES), f"?utm_source=millrace&utm_medium={medium}&utm_campaign={campaign}")
