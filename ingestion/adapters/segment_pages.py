"""What Segment's browser SDK asks for besides sending events: its settings document, and a place for its own metrics.

The settings say where events go, so a page need only name the gateway as the SDK's `cdnURL`. No destinations, no
plugins and no metrics of the SDK's are switched on.

Source: analytics-next, `browser/index` (`loadCDNSettings`), `plugins/segmentio`, `core/stats/remote-metrics`.
"""

import re
from typing import Any, Final

from ingestion.answers import Answer, document, problem_for_sdks
from ingestion.body import BodySource, Budget, read_body
from ingestion.cors import Cors
from ingestion.keys import KeyRing
from ingestion.patience import Patience
from ingestion.request import Scope
from ingestion.routes import Route
from ingestion.settings import KIB, GatewaySettings

_MAX_METRICS_BYTES: Final = 64 * KIB
_MAX_METRICS_BUFFERED: Final = 16 * _MAX_METRICS_BYTES
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_CACHE: Final = ("cache-control", "private, max-age=60")


class SegmentPages:
    """The routes; made once per worker."""

    def __init__(self, settings: GatewaySettings, keys: KeyRing, cors: Cors) -> None:
        self._settings = settings
        self._keys = keys
        self._cors = cors
        self._budget = Budget(_MAX_METRICS_BUFFERED)
        self._patience = Patience(settings.read_timeout_seconds)

    def routes(self) -> tuple[Route, ...]:
        """The settings document by write key, and the metrics, which are counted as requests and not kept."""
        return (
            Route("/v1/projects/{key}/settings", {"GET": self._describe}, self._cors, problem_for_sdks),
            Route("/v1/m", {"POST": self._ignore}, self._cors, problem_for_sdks),
        )

    async def _describe(self, scope: Scope, _body: object, key: str) -> Answer:
        self._keys.admit(key, "write")
        protocol, _, host = self._address(scope).partition("://")
        to = {"apiHost": f"{host}/v1", "protocol": protocol}
        content: dict[str, Any] = {
            "integrations": {
                "Segment.io": {
                    "apiKey": key,
                    **to,
                    "unbundledIntegrations": [],
                    "addBundledMetadata": False,
                    "maybeBundledConfigIds": {},
                    "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
                }
            },
            "plan": {
                "track": {"__default": {"enabled": True, "integrations": {}}},
                "identify": {"__default": {"enabled": True}},
                "group": {"__default": {"enabled": True}},
            },
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "metrics": {"sampleRate": 0, "host": to["apiHost"], "protocol": protocol},
            "legacyVideoPluginsEnabled": False,
            "remotePlugins": [],
        }
        answer = document(200, content)
        return Answer(answer.status, (*answer.headers, _CACHE), answer.body)

    async def _ignore(self, scope: Scope, body: BodySource) -> Answer:
        length = scope.headers.get("content-length")
        read = await read_body(body, length, _MAX_METRICS_BYTES, self._patience, self._budget)
        self._budget.release(len(read))
        return document(200, {"success": True})

    def _address(self, scope: Scope) -> str:
        """By what address the page reaches us: as set, else as it has just done."""
        if self._settings.public_url:
            return self._settings.public_url.rstrip("/")
        host = scope.headers.get("host") or scope.authority or ""
        if not _AUTHORITY.fullmatch(host):
            host = f"{self._settings.host}:{self._settings.port}"
        return f"{scope.scheme}://{host}"
