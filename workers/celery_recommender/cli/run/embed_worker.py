"""``recommender embed-worker``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
from celery import signals
from celery.worker import state
from prometheus_client import CollectorRegistry, ProcessCollector
from redis.exceptions import RedisError

from celery_recommender.broker.redis.fitness import require_usable
from celery_recommender.celery.worker.app import make_embed_app
from celery_recommender.cli.asking import named_server
from celery_recommender.cli.common import load_settings
from celery_recommender.cli.run.serving import serve
from celery_recommender.logs import begin_logs, configure_logs
from celery_recommender.owner.telemetry.health import serve_health_in_turn
from celery_recommender.settings import Settings
from recommender_engine.items import DEFAULT_MODEL


@click.command()
@click.pass_context
def embed_worker(context: click.Context) -> None:
    """Embed texts for the owners of partitions (RECOMMENDER_EMBED_WORKERS), on this machine or another.

    This is a stateless Celery worker: start and kill as many as you like. Each uses all processors that it may, or the
    GPU. It needs the Redis server and the model of the owner, and refuses another model. To run it in your own Celery
    app: `celery -A yourapp worker -Q recommender-embed`.

    RECOMMENDER_EMBED_METRICS_PORT serves probes: /livez, and /readyz once the model is loaded.

    SIGTERM or Ctrl-C stop it after the current batch.
    """
    begin_logs()
    settings = load_settings()
    configure_logs(settings)
    stop_probes = _begin_probes(settings)
    settings = named_server(settings)
    with suppress(RedisError):  # a server that is away is waited for
        require_usable(settings.redis_url)
    app, plugin = make_embed_app(settings)
    plugin.encoders.encoder(DEFAULT_MODEL)  # before the first request
    code = serve(app, f"recommender-embed-{os.getpid()}", settings, concurrency=1)
    stop_probes()
    context.exit(code)


class _Probed:
    """Alive from its first moment, since a batch that hangs ends the process; ready while it takes batches."""

    def __init__(self) -> None:
        self._consumes = threading.Event()
        signals.worker_ready.connect(self._begin)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Always alive, with its state."""
        return True, {"state": self._state()}

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Ready between the loading of the model and the first signal to stop."""
        state = self._state()
        return state == "embedding", {"state": state}

    def _begin(self, **_: object) -> None:
        self._consumes.set()

    def _state(self) -> str:
        if state.should_stop is not None or state.should_terminate is not None:
            return "stopping"
        return "embedding" if self._consumes.is_set() else "starting"


def _begin_probes(settings: Settings) -> Callable[[], object]:
    if not settings.embed_metrics_port:
        return lambda: None
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return serve_health_in_turn(settings.metrics_host, settings.embed_metrics_port, registry, _Probed())
