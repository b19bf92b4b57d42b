"""The one place where serving is put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from contracts.settings import PostgresSettings, ShopSettings
from serving.database import Database
from serving.errors import ServingError, from_database
from serving.feed import EpochFeed
from serving.http import Router
from serving.limits import extensions
from serving.metrics import Metrics
from serving.schema import build_schema
from serving.schema.context import Services
from serving.settings import ServingSettings
from serving.web import BodyLimit, SecurityHeaders

_PAGE: Final = Path(__file__).resolve().parent / "page"


def build_app(settings: ServingSettings, postgres: PostgresSettings, shop: ShopSettings) -> FastAPI:
    """The application; it connects to nothing until it is started, and starts whether or not Postgres is there."""
    database = Database(postgres, settings)
    feed = EpochFeed(database.connect, settings.feed_check_seconds)
    metrics = Metrics(feed)
    services = Services(database, feed, settings, shop)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(feed.run())
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            await database.close()

    app = FastAPI(title="Millrace serving", openapi_url=None, lifespan=lifespan)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(SecurityHeaders)
    app.include_router(Router(build_schema(extensions(settings)), services, metrics))
    _add_health(app, database, metrics)
    _add_page(app)
    return app


def _add_health(app: FastAPI, database: Database, metrics: Metrics) -> None:
    @app.get("/health/live")
    async def live() -> JSONResponse:
        return JSONResponse({"live": True})

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
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

    @app.get("/metrics")
    async def exposition() -> Response:
        return PlainTextResponse(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


class _Revalidated(StaticFiles):
    """Files that the browser keeps and asks about each time: an upgrade shows at the next reload."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_page(app: FastAPI) -> None:
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.get("/")(page)
    for view in sorted((_PAGE / "js" / "views").glob("*.js")):  # a view is a file there, and its address is its name
        app.get(f"/{view.stem}")(page)

    app.mount("/page", GZipMiddleware(_Revalidated(directory=_PAGE), minimum_size=2048), name="page")
