"""A page view from a page without script: a picture whose address says what was seen.

    <img src="https://events.example/v1/pixel.gif?writeKey=…&url=https%3A%2F%2Fshop.example%2Fa" alt="">

| parameter | meaning |
|---|---|
| writeKey | the write key |
| url | the page; without it the header `Referer`, of which browsers often send the origin only |
| referrer, title, product_id, category | of the page |
| userId, anonymousId, sessionId | the visitor; without an id `Senders.visitor` makes one that holds for a day |
| messageId | event id; without it every picture fetched is an event |
| anything else | a property |
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from ingestion.adapters.segment_commerce import Visit, plain
from ingestion.answers import Answer, Verdict, pixel, problem_for_sdks
from ingestion.cors import Cors
from ingestion.errors import RequestRefusedError
from ingestion.events import Admit, Batch
from ingestion.request import Request
from ingestion.sender import Senders
from ingestion.values import MAX_TEXT

_FIELDS: Final = {
    "messageId": "/event_id", "userId": "/user_id", "sessionId": "/session_id", "url": "/page_url",
    "referrer": "/referrer", "product_id": "/product_id", "category": "/category",
}  # fmt: skip
_NOT_PROPERTIES: Final = frozenset({*_FIELDS, "anonymousId", "writeKey", "import"})
_POINTERS: Final = {ours: f"/{theirs}" for theirs, ours in _FIELDS.items()}


class PixelAdapter:
    """Page views in the address of a picture."""

    routes: Mapping[str, Sequence[str]] = {"/v1/pixel.gif": ("GET",)}
    names_key = True

    def __init__(self, cors: Cors, senders: Senders) -> None:
        self.cors = cors
        self._senders = senders

    def media_type(self, _content_type: str | None) -> str:
        """That of the parameters as JSON, which is how a refused event is kept."""
        return "application/json; protocol=pixel"

    def read(self, request: Request, _media_type: str, _body: bytes, admit: Admit) -> Batch:
        """The query string's parameters; the last one of a name counts."""
        said = dict(parse_qsl(request.scope.query_string))
        header = request.scope.headers.get
        user_agent = header("user-agent")
        key = said.get("writeKey", "")
        admit(key)
        anonymous = said.get("anonymousId") or said.get("userId")
        visitor = anonymous or self._senders.visitor(request.sender, user_agent or "", request.received_at_ms, key)
        visit = Visit(
            event_id=said.get("messageId") or str(uuid.uuid4()),
            user_id=said.get("userId") or visitor,
            session_id=said.get("sessionId") or visitor,
            timestamp=request.received_at_ms,
            page_url=said.get("url") or header("referer"),
            referrer=said.get("referrer"),
            user_agent=user_agent and user_agent[: MAX_TEXT["user_agent"]],
            named={"event_type": "pixel"},
        )
        properties = {name: value for name, value in said.items() if name not in _NOT_PROPERTIES}
        event = plain("page_view", visit, properties, product_id=said.get("product_id"), category=said.get("category"))
        raw = msgspec.json.encode(said)
        return Batch([(event,)], lambda _: raw, pointer=lambda _index, _part, ours: _POINTERS.get(ours))

    def answer(self, _verdicts: Sequence[Verdict], _rejected: int) -> Answer:
        """A picture, whatever became of the event."""
        return pixel()

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """A problem document; a page shows nothing of it."""
        return problem_for_sdks(refused, retry_after_seconds)
