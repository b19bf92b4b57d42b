"""The one place where serving is put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from contracts.settings import LogSettings, PostgresSettings, ShopSettings
from serving.access import Access
from serving.answers import Answers
from serving.database import Database
from serving.errors import ServingError, from_database
from serving.event_log import EventLog
from serving.events import Events
from serving.execution import Executor
from serving.feed import EpochFeed
from serving.http import Endpoint
from serving.metrics import Metrics
from serving.schema import build_schema
from serving.schema.context import Services
from serving.settings import ServingSettings
from serving.sockets import Sockets
from serving.streams import Streams
from serving.web import SecurityHeaders

if TYPE_CHECKING:  # 20 MB of Redis's client, which only replicas that share are to have
    from serving.shared import SharedAnswers

_PAGE: Final = Path(__file__).resolve().parent / "page"
_GRAPHIQL: Final = Path(__file__).resolve().parent / "graphiql"
GRAPHQL: Final = "/graphql"


class Application:
    """GraphQL on its one path, and everything else. The short way is for what is asked most."""

    def __init__(self, endpoint: Endpoint, sockets: Sockets, rest: ASGIApp) -> None:
        self._endpoint, self._sockets, self._rest = endpoint, sockets, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == GRAPHQL:
            await self._endpoint(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def build_app(
    settings: ServingSettings, postgres: PostgresSettings, shop: ShopSettings, log: LogSettings
) -> Application:
    """The application; it connects to nothing until it is started, and starts whether or not Postgres is there."""
    database = Database(postgres, settings)
    feed = EpochFeed(database.connect, settings.feed_check_seconds)
    answers = Answers(feed, settings.cache_bytes)
    metrics = Metrics(feed, answers)
    event_log = EventLog(log.path, settings.log_readers)
    shared = _shared(settings, shop, metrics)
    executor = Executor(build_schema(), Services(database, feed, settings, shop, event_log), shared)
    streams = Streams(executor, answers, feed, settings.streams_per_client)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        listening = asyncio.create_task(feed.run())
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            if shared is not None:
                await shared.close()
            await database.close()

    routes = [*_health(database, metrics), *_page(), *(_graphiql() if settings.graphiql else ())]
    rest = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)], lifespan=lifespan)
    access = Access(settings.keys_file)
    endpoint = Endpoint(executor, answers, Events(streams, settings), access=access, settings=settings, metrics=metrics)
    return Application(endpoint, Sockets(streams, access, settings, GRAPHQL), rest)


def _shared(settings: ServingSettings, shop: ShopSettings, metrics: Metrics) -> "SharedAnswers | None":
    if not settings.shared_cache_url.get_secret_value():
        return None
    from serving.shared import SharedAnswers, made_by  # noqa: PLC0415 - see above

    return SharedAnswers(settings.shared_cache_url, made_by(settings, shop), metrics.shared_answers)


def _health(database: Database, metrics: Metrics) -> list[Route]:
    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"live": True})

    async def ready(_request: Request) -> JSONResponse:
        try:
            missing = await database.missing_tables()
        except Exception as error:
            known = error if isinstance(error, ServingError) else from_database(error)
            if known is None:
                raise
            return JSONResponse({"ready": False, "reason": str(known)}, status_code=503)
        if missing:
            reason = f"tables do not exist yet: {', '.join(missing)}; processing creates them when it starts"
            return JSONResponse({"ready": False, "reason": reason}, status_code=503)
        return JSONResponse({"ready": True})

    async def exposition(_request: Request) -> Response:
        return PlainTextResponse(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", exposition)]


class _Revalidated(StaticFiles):
    """Files that the browser keeps and asks about each time: an upgrade shows at the next reload."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _page() -> list[Route | Mount]:
    async def page(_request: Request) -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    # A view is a file there, and its address is its name.
    views = [Route(f"/{view.stem}", page) for view in sorted((_PAGE / "js" / "views").glob("*.js"))]
    return [Route("/", page), *views, Mount("/page", _files(_PAGE), name="page")]


def _graphiql() -> list[Route | Mount]:
    async def editor(_request: Request) -> FileResponse:
        return FileResponse(_GRAPHIQL / "index.html", headers={"Cache-Control": "no-cache"})

    return [Route("/graphiql", editor), Mount("/graphiql", _files(_GRAPHIQL), name="graphiql")]


def _files(folder: Path) -> ASGIApp:
    return GZipMiddleware(_Revalidated(directory=folder), minimum_size=2048)
