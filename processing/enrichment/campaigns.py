"""Campaign parameters of a landing page's URL: `utm_*`, and the click ids that advertising networks add."""

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc

MAX_VALUE_LENGTH: Final = 128
"""Characters of a campaign's value that are kept."""
MAX_ENCODED_LENGTH: Final = 12 * MAX_VALUE_LENGTH
"""Characters of an encoded value that are read: one decoded character takes twelve at most (`%F0%9F%9B%92`)."""

REMEMBERED: Final = 2_000
"""Encoded values that are remembered decoded: a campaign's are on many pages."""

UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
PAID_CLICK_IDS: Final = frozenset(
    {"gclid", "gbraid", "wbraid", "dclid", "msclkid", "ttclid", "twclid", "yclid", "li_fat_id"}
)
"""Google Ads (three), Display & Video 360, Microsoft, TikTok, X, Yandex, LinkedIn: only clicks on ads carry them."""
SOCIAL_CLICK_IDS: Final = frozenset({"fbclid", "igsh", "igshid"})
"""Facebook and Instagram put them on every link out, paid or not."""

_WANTED: Final = frozenset({*UTM, *PAID_CLICK_IDS, *SOCIAL_CLICK_IDS})
_HAS_ONE: Final = rf"(?i)[?&](?:{'|'.join(sorted(_WANTED))})="
_CONTROLS: Final = dict.fromkeys((*range(0x20), 0x7F))


class Campaign(NamedTuple):
    """What the URL says about why somebody came."""

    source: str | None = None
    medium: str | None = None
    name: str | None = None
    term: str | None = None
    content: str | None = None
    click: str | None = None
    """`paid` or `social`, by the click id; None without one."""


def campaigns_of(urls: pa.Array) -> list[Campaign | None]:
    """The campaign of each URL, or None. Parameters are read from the query alone, the first of a name counts."""
    found: list[Campaign | None] = [None] * len(urls)
    places = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(urls, _HAS_ONE), False))
    for place, url in zip(places.to_pylist(), urls.take(places).to_pylist(), strict=True):
        found[place] = _campaign(url)
    return found


def _campaign(url: str) -> Campaign | None:
    given: dict[str, str] = {}
    for parameter in url.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = parameter.partition("=")
        name = name.lower()
        if value and name in _WANTED:
            given.setdefault(name, value)
    texts = [_decoded(given[name]) if name in given else None for name in UTM]
    click = _click(given)
    return Campaign._make((*texts, click)) if click or any(texts) else None


def _click(given: dict[str, str]) -> str | None:
    if not PAID_CLICK_IDS.isdisjoint(given):
        return "paid"
    return None if SOCIAL_CLICK_IDS.isdisjoint(given) else "social"


@lru_cache(REMEMBERED)
def _decoded(value: str) -> str | None:
    text = unquote_plus(value[:MAX_ENCODED_LENGTH], errors="replace")
    return text.translate(_CONTROLS).strip()[:MAX_VALUE_LENGTH].rstrip() or None
