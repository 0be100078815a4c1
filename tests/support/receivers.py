"""HTTP servers that receive webhooks, and answer as a test says."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
LOOPBACK = ["127.0.0.0/8"]

Answer = int | tuple[int, dict[str, str]] | Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """What has come, each request's signature verified with the library that receivers use.

    Attributes:
        answers: of the next requests; then 204.
        otherwise: answer after those.
    """

    secret: str = SECRET
    answers: list[Answer] = field(default_factory=list)
    otherwise: Answer = 204
    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.bodies.append(body)
        self.headers.append(headers)
        if "webhook-signature" in headers:
            self.events.append(Webhook(self.secret).verify(body, headers))
        answer = self.answers.pop(0) if self.answers else self.otherwise
        if callable(answer):
            answer(handler)
            return
        status, extra = answer if isinstance(answer, tuple) else (answer, {})
        if 200 <= status < 300:
            self.taken.append(headers["webhook-id"])
        handler.send_response(status)
        for name, value in {"content-length": "0", **extra}.items():
            handler.send_header(name, value)
        handler.end_headers()


@contextmanager
def receiving(**options: Any) -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver(**options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            receiver.receive(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?of=shop"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
