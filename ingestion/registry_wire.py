"""The form of the schema registry's calls and answers: queries, bodies, error codes."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contracts.problems import HANDLING
from ingestion.answers import Answer
from ingestion.errors import RequestRefusedError

_MEDIA_TYPE: Final = ("content-type", "application/vnd.schemaregistry.v1+json")
_MAX_DIGITS: Final = 10


class RegistryError(Exception):
    """An answer with one of the registry's error codes, whose first three digits are the status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Call:
    """What a call may look at: the path's variable parts, the query, and the body where there is one."""

    parts: tuple[str, ...]
    query: dict[str, str]
    body: bytes = b""

    def page(self, found: list[Any]) -> list[Any]:
        """The part of a list that `offset` and `limit` ask for."""
        offset, limit = (self._whole(name, default) for name, default in (("offset", 0), ("limit", -1)))
        return found[max(0, offset) :][: limit if limit >= 0 else None]

    def wants(self, name: str) -> bool:
        """Whether a flag is set; Python's client writes `True`."""
        return self.query.get(name, "").lower() == "true"

    def _whole(self, name: str, default: int) -> int:
        stated = self.query.get(name)
        number = default if stated is None or stated == "-1" else whole_number(stated)
        if number is None:
            raise RegistryError(422, f"{name} must be a whole number.")
        return number


def whole_number(text: str) -> int | None:
    """A number of ASCII digits; None if it is something else, or beyond anything that has a number here."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def reply_with(status: int, content: Any) -> Answer:
    """An answer in the registry's media type."""
    return Answer(status, (_MEDIA_TYPE,), msgspec.json.encode(content))


def problem(refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
    """A refusal that is not the registry's own (body too large, a wrong method), in its form."""
    handling = HANDLING[refused.problem]
    headers = (*refused.headers, ("retry-after", str(retry_after_seconds))) if handling.retry else refused.headers
    told = reply_with(
        handling.status, {"error_code": handling.status, "message": f"{handling.title}: {refused.detail}"}
    )
    return msgspec.structs.replace(told, headers=(*told.headers, *headers))
