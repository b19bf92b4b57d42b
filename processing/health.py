"""Health and metrics over HTTP: live is the process, ready is the query, and they are not the same."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


def serve_health(
    host: str, port: int, registry: CollectorRegistry, not_ready: Callable[[], str | None]
) -> ThreadingHTTPServer:
    """Serve `/health/live`, `/health/ready` and `/metrics` from a background thread.

    `not_ready` gives the reason why the part is not ready, or None when it is.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/health/live":
                    self._answer(200, {"status": "live"})
                case "/health/ready":
                    reason = not_ready()
                    self._answer(503 if reason else 200, {"status": reason or "ready"})
                case "/metrics":
                    self._send(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case _:
                    self._answer(404, {"status": "not found"})

        def _answer(self, status: int, body: dict[str, str]) -> None:
            self._send(status, "application/json", json.dumps(body).encode())

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every second; they are not worth a line each."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
