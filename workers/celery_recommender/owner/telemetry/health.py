"""``/metrics`` for Prometheus, probes for supervisors: alive means *making progress*, ready *doing its part*."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from celery_recommender.settings import Settings
from celery_recommender.threads import WorkerThread, retry
from recommender_engine.errors import ConfigurationError
from recommender_engine.event_log import event_log

log = event_log(__name__)

_TRY_AGAIN_S = 1.0


class Probed(Protocol):
    """What the probes ask."""

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether there is progress, and details."""

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether it does its part, and details."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        """Write nothing: a probe comes every few seconds."""


def begin_health(settings: Settings, registry: CollectorRegistry, probed: Probed) -> Callable[[], None]:
    """Serve them where the settings say so. A standby on the owner's machine waits for its turn at the port.

    Raises:
        ConfigurationError: the port is taken, or the address is none of this machine's.

    Returns:
        A function that stops it.
    """
    if not settings.metrics_port:
        return lambda: None
    serve = serve_health_in_turn if settings.standby else serve_health
    return serve(settings.metrics_host, settings.metrics_port, registry, probed)


def serve_health_in_turn(host: str, port: int, registry: CollectorRegistry, probed: Probed) -> Callable[[], None]:
    """The same for a standby: while another process has the port, it is tried again every second."""
    waiting = _Waiting(lambda: serve_health(host, port, registry, probed))
    waiting.start()
    return waiting.stop


class _Waiting(WorkerThread):
    """Waits for the port."""

    def __init__(self, serve: Callable[[], Callable[[], None]]) -> None:
        super().__init__("health-wait")
        self._serve = serve
        self._stop_serving: Callable[[], None] | None = None

    def work(self) -> None:
        self._stop_serving = retry(self._serve, self._stopping, _TRY_AGAIN_S, (ConfigurationError,), self._note_taken)

    def _note_taken(self, error: Exception, attempt: int) -> None:
        if attempt == 1:
            log.warning("health.waits", extra={"error": str(error)})

    def stop(self, timeout_s: float | None = None) -> None:
        super().stop(timeout_s)
        if self._stop_serving is not None:
            self._stop_serving()


def serve_health(host: str, port: int, registry: CollectorRegistry, probed: Probed) -> Callable[[], None]:
    """Serve the paths on a thread of their own.

    Args:
        host: address to listen on.
        port: port; 0 takes a free one.
        registry: what ``/metrics`` shows.
        probed: what ``/livez``, ``/readyz`` and ``/healthz`` answer.

    Raises:
        ConfigurationError: the port is taken, or the address is none of this machine's.

    Returns:
        A function that stops the server.
    """
    metrics = make_wsgi_app(registry)
    probes = {
        "/livez": ("live", probed.health),
        "/readyz": ("ready", probed.readiness),
        "/healthz": ("healthy", probed.health),
    }

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/metrics":
            body: Iterable[bytes] = metrics(environ, start_response)
            return body
        if (probe := probes.get(environ.get("PATH_INFO", ""))) is not None:
            word, ask = probe
            well, details = ask()
            start_response("200 OK" if well else "503 Service Unavailable", [("Content-Type", "application/json")])
            return [json.dumps({word: well, **details}).encode()]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [f"/metrics, {', '.join(probes)}\n".encode()]

    try:
        server = make_server(host, port, application, server_class=_Server, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"RECOMMENDER_METRICS_PORT={port} on RECOMMENDER_METRICS_HOST={host!r} cannot be served: {reason}. Choose"
            " another port for this process; 0 serves none"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="recommender-health", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
