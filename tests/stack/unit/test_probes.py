"""What a part answers to "are you ready" is told as it is, whatever it answers."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from stack.probes import http_ready

pytestmark = pytest.mark.unit

ANSWERS = {
    "/ready": (200, b'{"ready": true}'),
    "/reason": (503, b'{"ready": false, "reason": "warming up"}'),
    "/other": (503, b'{"status": "x"}'),
    "/list": (503, b"[1]"),
    "/text": (500, b"Traceback"),
    "/binary": (500, b"\xff\xfe"),
    "/moved": (302, b""),
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    class Part(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/broken":
                self.wfile.write(b"this is no HTTP\r\n\r\n")
                return
            status, body = ANSWERS[self.path]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Part) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/ready", None),
        ("/reason", "warming up"),
        ("/other", "{'status': 'x'}"),
        ("/list", "[1]"),
        ("/text", "status 500"),
        ("/binary", "status 500"),
        ("/moved", "status 302"),
        ("/broken", "no answer yet (BadStatusLine)"),
    ],
)
def test_what_is_answered_is_the_reason(address: str, path: str, reason: str | None) -> None:
    assert http_ready(address + path) == reason


def test_where_nobody_listens_there_is_no_answer_yet() -> None:
    assert http_ready("http://127.0.0.1:1/health/ready") == "no answer yet (ConnectionRefusedError)"
