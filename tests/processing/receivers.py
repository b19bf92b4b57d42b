"""Receivers of notices on loopback, which check what a real one would: Slack, PagerDuty, a signed webhook, SMTP."""

import base64
import hashlib
import hmac
import json
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

KEY: Final = b"0123456789abcdef01234567"
SECRET: Final = "whsec_" + base64.b64encode(KEY).decode()
ROUTING_KEY: Final = "r" * 32


@dataclass
class Receiver:
    """What was taken; what is answered: `answers` one after another, then 202. One of 0 is taken and not answered."""

    port: int = 0
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tried: list[dict[str, str]] = field(default_factory=list)
    """Headers of every attempt, taken or not."""
    faults: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hangs: threading.Event = field(default_factory=threading.Event)
    """While it is set, nothing is answered."""

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def slack_fault(headers: dict[str, str], body: bytes) -> str | None:
    """What Slack would say `invalid_payload` or `invalid_blocks` to."""
    told = json.loads(body)
    if headers.get("content-type") != "application/json" or not told.get("text"):
        return "no text"
    kinds = [block["type"] for block in told["blocks"]]
    header, section, context = told["blocks"]
    if kinds != ["header", "section", "context"] or header["text"]["type"] != "plain_text":
        return f"blocks {kinds}"
    too_long = len(header["text"]["text"]) > 150 or len(section["text"]["text"]) > 3000
    return "too long" if too_long or not section["text"]["text"] or not context["elements"] else None


def pagerduty_fault(headers: dict[str, str], body: bytes) -> str | None:
    """What PagerDuty's Events API v2 would answer 400 to."""
    told = json.loads(body)
    if told.get("routing_key") != ROUTING_KEY or told.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return "routing key or action"
    if not 0 < len(told.get("dedup_key", "")) <= 255:
        return "dedup_key"
    if told["event_action"] != "trigger":
        return None
    payload = told.get("payload", {})
    if payload.get("severity") not in ("critical", "warning", "error", "info"):
        return "severity"
    return None if 0 < len(payload.get("summary", "")) <= 1024 and payload.get("source") else "summary or source"


def webhook_fault(headers: dict[str, str], body: bytes) -> str | None:
    """What a receiver after the Standard Webhooks would answer 401 to."""
    signed = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return None if hmac.compare_digest(wanted, headers.get("webhook-signature", "")) else "signature"


@contextmanager
def receiving(fault: Callable[[dict[str, str], bytes], str | None]) -> Iterator[Receiver]:
    """An HTTP receiver that judges what comes."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.tried.append(headers)
            while receiver.hangs.is_set():
                time.sleep(0.01)
            status, extra = receiver.answers.pop(0) if receiver.answers else (0, {"answered": "yes"})
            if not status:
                found = fault(headers, body)
                status = 400 if found else 202
                receiver.faults += [found] if found else []
                receiver.got.append(json.loads(body))
                receiver.headers.append(headers)
                if not extra:
                    return
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server that takes everything, unless `refusal` is what it says to a recipient: to all, or to `refused`."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    refusal: str | None = None
    refused: str = "@"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """SMTP (RFC 5321) as far as it takes to be given a mail."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mail.test")
            for line in iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ""):
                verb = re.split(r"[ :]", line, maxsplit=1)[0].upper()
                if verb == "DATA":
                    self._say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                    box.mails.append(message_from_string("\n".join(lines)))
                    self._say("250 taken")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    refuses = verb == "RCPT" and box.refused in line
                    self._say(box.refusal if refuses and box.refusal else "250 mail.test")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box
        server.shutdown()
