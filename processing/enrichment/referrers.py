"""Which site a referrer is: search engines, social networks and mail providers, from `data/referrers.json`."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

TABLE: Final = Path(__file__).resolve().parent / "data" / "referrers.json"

_COUNTRY: Final = re.compile(r"\.(?:com|(?:com?\.)?[a-z]{2})\Z")


@dataclass(frozen=True, slots=True)
class Site:
    """A site known by name."""

    name: str
    medium: str
    """search, social, email or referral."""


@dataclass(frozen=True)
class Referrers:
    """The table of known sites, by what they are recognised by."""

    hosts: dict[str, Site]
    """Hosts that are the site themselves. A key may end in `.*`, which stands for com and countries."""
    domains: dict[str, Site]
    """Hosts that are the site with all hosts below them."""
    apps: dict[str, Site]
    """Android packages."""
    names: dict[str, Site]
    """What campaigns call the site, lower case."""

    @classmethod
    def load(cls, path: Path = TABLE) -> Self:
        """The table as in the file; its format is described there."""
        table = cls({}, {}, {}, {})
        for entry in json.loads(path.read_text("utf-8"))["sites"]:
            site = Site(entry["name"], entry["medium"])
            for host in entry["hosts"]:
                domain = host.removeprefix("*.")
                (table.hosts if host == domain else table.domains)[domain] = site
            table.apps.update(dict.fromkeys(entry.get("apps", ()), site))
            table.names.update(dict.fromkeys((site.name.lower(), *entry.get("names", ())), site))
        return table

    def site(self, host: str) -> Site | None:
        """The site of a host as `processing.enrichment.hosts.host_of` writes it; the longest match decides."""
        found = _lookup(self.hosts, host)
        labels = host.split(".")
        for start in range(len(labels)):
            if found:
                break
            found = _lookup(self.domains, ".".join(labels[start:]))
        return found

    def app(self, package: str) -> Site | None:
        """The site of an Android package."""
        return self.apps.get(package)

    def named(self, source: str) -> Site | None:
        """The site that a campaign's source means, by name or by host."""
        source = source.lower()
        return self.names.get(source) or self.site(source.removeprefix("www."))


def _lookup(sites: dict[str, Site], host: str) -> Site | None:
    return sites.get(host) or sites.get(_COUNTRY.sub(".*", host))
