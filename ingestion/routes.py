"""Which path is served by what: a path is looked up whole, and only then among the few with a variable part."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

import msgspec

from ingestion.answers import Answer, problem
from ingestion.cors import Cors
from ingestion.errors import RequestRefusedError
from ingestion.request import Scope

Handler = Callable[..., Awaitable[Answer]]
"""Takes the scope, the exchange, and the path's variable parts as texts. May raise RequestRefusedError."""
ProblemWriter = Callable[[RequestRefusedError, int], Answer]
"""A refusal and the seconds after which to try again, as the answer of the protocol."""

_VARIABLE: Final = re.compile(r"\{\w+\}")


class Route(msgspec.Struct, frozen=True):
    """A path and what its methods do. HEAD is GET without the body, which the server leaves out by itself."""

    path: str
    """As in OpenAPI: `{name}` stands for one segment. Also the route's name in metrics, where no client's text goes."""
    handlers: Mapping[str, Handler]
    """By method. HEAD and OPTIONS need not be there."""
    cors: Cors | None = None
    problem: ProblemWriter = problem

    def methods(self) -> list[str]:
        """All methods, for `Allow`."""
        also = ["HEAD"] if "GET" in self.handlers and "HEAD" not in self.handlers else []
        return [*self.handlers, *also, "OPTIONS"]

    def handler(self, method: str) -> Handler | None:
        """What serves a method; None if nothing does."""
        found = self.handlers.get(method)
        if found is None and method == "HEAD":
            return self.handlers.get("GET")
        return self._options if found is None and method == "OPTIONS" else found

    async def _options(self, scope: Scope, *_: object) -> Answer:
        """What the path takes (RFC 9110, section 9.3.7), and whether a page of another origin may send it."""
        methods = self.methods()
        cors = () if self.cors is None else self.cors.preflight(scope.headers, methods)
        return Answer(204, (("allow", ", ".join(methods)), *cors), b"")


class Routes:
    """All routes there are."""

    def __init__(self) -> None:
        self._whole: dict[str, Route] = {}
        self._variable: list[tuple[re.Pattern[str], Route]] = []

    def add(self, route: Route) -> None:
        """Add a route; a path that is served already is a ValueError."""
        if route.path in self._whole or any(route.path == other.path for _, other in self._variable):
            raise ValueError(f"{route.path} is served twice")
        if _VARIABLE.search(route.path):
            pattern = "([^/]+)".join(re.escape(piece) for piece in _VARIABLE.split(route.path))
            self._variable.append((re.compile(pattern), route))
        else:
            self._whole[route.path] = route

    def find(self, path: str) -> tuple[Route | None, tuple[str, ...]]:
        """The route of a path and the path's variable parts."""
        route = self._whole.get(path)
        if route is not None:
            return route, ()
        for pattern, route in self._variable:
            if found := pattern.fullmatch(path):
                return route, found.groups()
        return None, ()

    def __iter__(self) -> Iterator[Route]:
        yield from self._whole.values()
        yield from (route for _, route in self._variable)
