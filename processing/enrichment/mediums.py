"""How somebody came to a page: the medium, by campaign first and referrer second.

The words follow the default channel groups of Google Analytics 4, folded to one column. Where they differ on purpose:
a campaign's medium is asked before its source, display counts as paid, and a click id of an ad network is paid
whatever else the URL says, since nothing but a click on an ad adds one. Facebook's click id is on every link that
leaves it, so it says social, and only where no `utm_*` says more.
"""

import re
from typing import Final

from processing.enrichment.campaigns import Campaign
from processing.enrichment.hosts import host_of, related, same_site
from processing.enrichment.referrers import Referrers

MEDIUMS: Final = ("direct", "internal", "search", "social", "email", "paid", "affiliate", "campaign", "referral")

_PAID: Final = re.compile(r".*cp.*|ppc|retargeting|paid.*|display|banner|expandable|interstitial", re.DOTALL)
_EMAIL: Final = frozenset({"email", "e-mail", "e_mail", "e mail", "newsletter"})
_SOCIAL: Final = frozenset({"social", "social-network", "social-media", "sm", "social network", "social media"})
_REFERRAL: Final = frozenset({"referral", "app", "link"})
_BY_MEDIUM: Final = {
    **dict.fromkeys(_EMAIL, "email"),
    **dict.fromkeys(_SOCIAL, "social"),
    **dict.fromkeys(("affiliate", "affiliates"), "affiliate"),
    "organic": "search",
}


class Mediums:
    """Decides for one shop. `shop_hosts` are its hosts besides the one that a page is on."""

    def __init__(self, referrers: Referrers, shop_hosts: frozenset[str]) -> None:
        self._referrers = referrers
        self._shop_hosts = frozenset(map(_shop_host, shop_hosts))

    def visit(self, page: str | None, referrer: str | None, campaign: Campaign | None) -> tuple[str | None, str | None]:
        """Medium, and the referrer's source: a known site's name, else its host; None where there is neither.

        `page` and `referrer` are origins, `/` for a path alone, empty where they cannot be read, None where nothing is
        given. A referrer that cannot be read is as good as none; without a page as well, nothing is known.
        """
        medium, source = self._by_referrer(page, referrer) if referrer else ("direct", None)
        if campaign:
            return self._by_campaign(campaign), source
        return (None if page is None and medium == "direct" else medium), source

    def _by_campaign(self, campaign: Campaign) -> str:
        medium, source = (campaign.medium or "").lower(), (campaign.source or "").lower()
        if campaign.click == "paid" or _PAID.fullmatch(medium):
            return "paid"
        if medium in _BY_MEDIUM:
            return _BY_MEDIUM[medium]
        if source in _EMAIL:
            return "email"
        site = self._referrers.named(source) if source else None
        if site:
            return site.medium
        if medium in _REFERRAL:
            return "referral"
        return "social" if campaign.click == "social" and not any(campaign[:-1]) else "campaign"

    def _by_referrer(self, page: str | None, referrer: str) -> tuple[str, str | None]:
        if referrer == "/":
            return "internal", None
        host = host_of(referrer)
        if host is None:
            return "direct", None
        is_app = referrer.lower().startswith("android-app:")
        here = host_of(page) if page else None
        site = self._referrers.app(host) if is_app else self._referrers.site(host)
        if not is_app and self._is_ours(host, here, known=site is not None):
            return "internal", None
        return (site.medium, site.name) if site else ("referral", host)

    def _is_ours(self, host: str, here: str | None, *, known: bool) -> bool:
        """Whether a referrer is the shop itself. A known site is not, only for lying above it (line.me)."""
        alike = same_site if known else related
        return any(alike(host, own) for own in self._shop_hosts) or (here is not None and alike(host, here))


def _shop_host(name: str) -> str:
    host = host_of(f"https://{name}")
    if host is None:
        raise ValueError(f"{name!r} is not a host name")
    return host
