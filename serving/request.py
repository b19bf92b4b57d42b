"""What a client asks for: a GraphQL request as it comes over HTTP, checked for its form.

Source: https://graphql.github.io/graphql-over-http/draft/. Members that are not known are passed over; a member that
is null is one that is not there.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from serving.allowed import BY_HASH

_MEMBERS: Final = ("query", "operationName", "variables", "extensions")


class BadRequest(Exception):  # noqa: N818 - it reads as what it is
    """A body or a query string that is no GraphQL request; the message says why."""


class Unreadable(BadRequest):
    """It is not even JSON."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One request, and what tells it apart from every other one."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    extensions: dict[str, Any]
    key: bytes
    """Equal for requests whose document, operation and variables are equal, and for no others."""
    may_write: bool
    """Whether it may be a mutation: not over GET."""


def from_body(body: bytes) -> GraphQLRequest:
    """The request in the body of a POST. Raises BadRequest."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable("The body is not valid JSON in UTF-8.") from error
    if not isinstance(members, dict):
        raise BadRequest("The body is not a JSON object; requests are not taken in batches.")
    return from_members(members)


def from_members(members: dict[str, Any]) -> GraphQLRequest:
    """The request in the payload of a WebSocket's message. Raises BadRequest."""
    return _checked(members, may_write=True)


def from_query_string(query_string: bytes) -> GraphQLRequest:
    """The request in the parameters of a GET. Raises BadRequest."""
    try:
        members: dict[str, Any] = dict(
            parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32)
        )
        for name in ("variables", "extensions"):
            if members.get(name):
                members[name] = orjson.loads(members[name])
            else:
                members.pop(name, None)
    except ValueError as error:
        raise Unreadable("The query string is not one of a GraphQL request: UTF-8, `variables` as JSON.") from error
    return _checked(members, may_write=False)


def _checked(members: dict[str, Any], *, may_write: bool) -> GraphQLRequest:
    query, name, variables, extensions = (members.get(member) for member in _MEMBERS)
    if query is None and isinstance(extensions, dict):
        query = _by_hash(extensions)
    if not isinstance(query, str) or not query:
        raise BadRequest("`query` must be a text: the GraphQL document.")
    if name is not None and not isinstance(name, str):
        raise BadRequest("`operationName` must be a text.")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest("`variables` must be an object.")
    if extensions is not None and not isinstance(extensions, dict):
        raise BadRequest("`extensions` must be an object.")
    told = orjson.dumps([query, name or None, variables or {}, may_write], option=orjson.OPT_SORT_KEYS)
    key = hashlib.blake2b(told, digest_size=24).digest()
    return GraphQLRequest(query, name or None, variables or {}, extensions or {}, key, may_write)


def _by_hash(extensions: dict[str, Any]) -> str | None:
    told = extensions.get("persistedQuery")
    found = told.get("sha256Hash") if isinstance(told, dict) else None
    return f"{BY_HASH}{found}" if isinstance(found, str) else None
