"""GraphQL over HTTP: media types and status codes by the specification, on Strawberry's router.

Source: https://graphql.github.io/graphql-over-http/draft/. A client that accepts
`application/graphql-response+json` gets a status that means something: 400 where the document could not be run. One
that accepts only `application/json` gets 200 for any well-formed request, as older clients expect.
"""

import json
import time
from typing import Any, Final

from cross_web import AsyncHTTPRequestAdapter, HTTPException
from fastapi import Request, Response
from strawberry.fastapi import GraphQLRouter
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from serving.metrics import Metrics
from serving.schema import Schema
from serving.schema.context import RequestContext, Services

RESPONSE_JSON: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"


class Router(GraphQLRouter[RequestContext, None]):
    """`/graphql`: POST, GET for queries, and graphql-transport-ws. No IDE, no batches, no uploads."""

    def __init__(self, schema: Schema, services: Services, metrics: Metrics) -> None:
        self._metrics = metrics
        self._page_origin = services.settings.allowed_origins

        async def context() -> RequestContext:
            return RequestContext(services)

        super().__init__(
            schema,
            path="/graphql",
            graphql_ide=None,
            allow_queries_via_get=True,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            max_subscriptions_per_connection=services.settings.max_subscriptions,
            allowed_origins=services.settings.allowed_origins,
            context_getter=context,
        )

    async def run(self, request: Any, context: Any = None, root_value: Any = None) -> Any:
        if self.is_websocket_request(request):
            return await super().run(request, context, root_value)
        started = time.perf_counter()
        try:
            response = await super().run(request, context, root_value)
        except HTTPException as error:
            response = _refused(request, error)
        outcome = getattr(request.state, "outcome", "refused")
        self._metrics.requests.labels(outcome=outcome).inc()
        self._metrics.request_seconds.observe(time.perf_counter() - started)
        return response

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData | list[GraphQLRequestData]:
        if request.method == "POST" and not _is_json(request.content_type or ""):
            raise HTTPException(415, f"POST a request as {PLAIN_JSON}")
        try:
            return await super().parse_http_body(request)
        except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
            raise HTTPException(400, "The body is not valid JSON in UTF-8") from error

    def parse_json(self, data: str | bytes) -> Any:
        parsed = super().parse_json(data)
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "A request is a JSON object")
        return parsed

    async def get_sub_response(self, request: Request) -> Response:
        response = Response()
        response.media_type = _negotiated(request)
        return response

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        answer = await super().process_result(request, result)
        request.state.outcome = "errors" if result.errors else "data"
        if result.data is None and all(error.path is None for error in result.errors or ()):
            # A request error: nothing ran, so there is no `data`, not even null (section 7.1 of the GraphQL spec).
            del answer["data"]
            request.state.outcome = "invalid"
        return answer

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        media_type = sub_response.media_type or PLAIN_JSON
        status = 400 if media_type == RESPONSE_JSON and "data" not in response_data else 200
        return _json(response_data, status, media_type)


def _negotiated(request: Request) -> str:
    accepted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    for media_type in accepted:
        if media_type in {RESPONSE_JSON, PLAIN_JSON}:
            return media_type
    if any(media_type in {"*/*", "application/*", ""} for media_type in accepted):
        return PLAIN_JSON
    raise HTTPException(406, f"Answers are {RESPONSE_JSON} or {PLAIN_JSON}")


def _is_json(content_type: str) -> bool:
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.replace(" ", "").lower()
    return media_type.strip().lower() == PLAIN_JSON and charset in {"", "charset=utf-8", 'charset="utf-8"'}


def _refused(request: Request, error: HTTPException) -> Response:
    body = {"errors": [{"message": error.reason, "extensions": {"code": "BAD_REQUEST"}}]}
    headers = {"Allow": "POST" if request.method == "GET" else "GET, POST"} if error.status_code == 405 else {}
    response = _json(body, error.status_code, PLAIN_JSON)
    response.headers.update(headers)
    return response


def _json(body: Any, status: int, media_type: str) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, media_type=f"{media_type}; charset=utf-8")
