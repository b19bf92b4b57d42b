"""What an event's own fields say beyond themselves: device, bot evidence, medium and campaign, as columns.

Pure: the same event gives the same columns in whatever batch it comes, so a rebuild repeats them as long as the
parser's rules and `data/referrers.json` are the same. No row is dropped or moved.
"""

from typing import Final

import pyarrow as pa

from processing.enrichment.campaigns import Campaign, campaigns_of
from processing.enrichment.factored import Factored
from processing.enrichment.hosts import origins
from processing.enrichment.mediums import Mediums
from processing.enrichment.referrers import Referrers
from processing.enrichment.user_agents import UserAgents

_AGENT: Final = [
    pa.field("device", pa.string()),
    pa.field("browser", pa.string()),
    pa.field("os", pa.string()),
    pa.field("bot_score", pa.int16()),
    pa.field("bot_reason", pa.string()),
    pa.field("bot", pa.bool_()),
]
_TRAFFIC: Final = [
    pa.field("medium", pa.string()),
    pa.field("referrer_source", pa.string()),
    pa.field("campaign_source", pa.string()),
    pa.field("campaign_medium", pa.string()),
    pa.field("campaign", pa.string()),
    pa.field("campaign_term", pa.string()),
    pa.field("campaign_content", pa.string()),
]
ENRICHED: Final = pa.schema([*_AGENT, *_TRAFFIC])
"""The columns that are added, in order. The vocabularies: `user_agents.DEVICES`, `bots`, `mediums.MEDIUMS`.

`browser` and `os` are families, `Other` where unknown, null without a user agent. `bot_score` (0 to 100) and `bot` are
never null. `medium` is null where an event has neither a page nor a referrer that can be read. `referrer_source` is a
known site's name, else the referrer's host; null for direct and internal visits.
"""


class Enricher:
    """Enriches the events of one shop. `shop_hosts` are its hosts besides the one that a page is on.

    Hosts of payment pages that customers come back from belong among them.
    """

    def __init__(self, shop_hosts: frozenset[str] = frozenset()) -> None:
        self._user_agents = UserAgents()
        self._mediums = Mediums(Referrers.load(), shop_hosts)

    def enrich(self, events: pa.Table) -> pa.Table:
        """The same rows with the columns of `ENRICHED` appended. Reads user_agent, page_url and referrer."""
        columns = [*self._agents(events["user_agent"]), *self._traffic(events["page_url"], events["referrer"])]
        for field, column in zip(ENRICHED, columns, strict=True):
            events = events.append_column(field, column)
        return events

    def _agents(self, user_agents: pa.ChunkedArray) -> list[pa.Array]:
        agents = Factored[str | None].of(user_agents)
        return agents.columns([self._user_agents.identify(text) for text in agents.values], _AGENT)

    def _traffic(self, page_urls: pa.ChunkedArray, referrers: pa.ChunkedArray) -> list[pa.Array]:
        pages = Factored[str | None].of(page_urls)
        came_from = Factored[str | None].of(referrers)
        visits = (
            pages.becomes(_origins(pages.values))
            .beside(came_from.becomes(_origins(came_from.values)))
            .beside(pages.becomes(campaigns_of(pa.array(pages.values, pa.string()))))
        )
        rows = [
            (*self._mediums.visit(page, referrer, campaign), *(campaign or Campaign())[:-1])
            for (page, referrer), campaign in visits.values
        ]
        return visits.columns(rows, _TRAFFIC)


def _origins(urls: list[str | None]) -> list[str | None]:
    """Origin of each URL; `/` for a path without one, `""` for what cannot be read, None where nothing is given."""
    found: list[str | None] = origins(pa.array(urls, pa.string())).to_pylist()
    return [origin or _without_origin(url) for origin, url in zip(found, urls, strict=True)]


def _without_origin(url: str | None) -> str | None:
    if url is None or not url.strip():
        return None
    return "/" if url.startswith("/") and not url.startswith("//") else ""
