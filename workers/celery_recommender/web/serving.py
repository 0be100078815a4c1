"""Runs the application under uvicorn."""

from __future__ import annotations

import signal
import socket
from types import FrameType

import uvicorn

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.app import create_app
from celery_recommender.web.punctual import Punctual
from celery_recommender.web.security.exposure import require_safe
from recommender_engine.event_log import event_log

log = event_log(__name__)

_GRACE_S = 3


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the address is reached by strangers, or there is no server of the streams.
        OSError: the address is in use, or not this machine's.
    """
    require_safe(settings)
    app = create_app(settings, Client(settings))
    bound = _bound(settings.web_host, settings.web_port)
    host, port = bound.getsockname()[:2]
    log.info("web.listening", extra={"address": f"http://{f'[{host}]' if ':' in host else host}:{port}/"})
    config = uvicorn.Config(
        app,
        http=Punctual,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # which proxy may say what is decided by our settings
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        limit_concurrency=1000,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)
    uvicorn.Server(config).run(sockets=[bound])


def _ended(number: int, frame: FrameType | None) -> None:
    """To be stopped is no failure: uvicorn, which handles the signal, raises it once more when it is done."""


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
