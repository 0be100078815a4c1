"""``/metrics`` for Prometheus and ``/healthz`` for supervisors: alive means *making progress*, not *being there*."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

Health = Callable[[], tuple[bool, dict[str, Any]]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        """Write nothing: a probe comes every few seconds."""


def serve_health(host: str, port: int, registry: CollectorRegistry, health: Health) -> Callable[[], None]:
    """Serve both paths on a thread of their own.

    Args:
        host: address to listen on.
        port: port; 0 takes a free one.
        registry: what ``/metrics`` shows.
        health: whether there is progress, and details for ``/healthz``.

    Returns:
        A function that stops the server.
    """
    metrics = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/metrics":
            body: Iterable[bytes] = metrics(environ, start_response)
            return body
        if environ.get("PATH_INFO") == "/healthz":
            healthy, details = health()
            start_response("200 OK" if healthy else "503 Service Unavailable", [("Content-Type", "application/json")])
            return [json.dumps({"healthy": healthy, **details}).encode()]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics or /healthz\n"]

    server = make_server(host, port, application, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="recommender-health", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
