"""``celery -A benchmarks.kill_apps:APP worker``: the workers that ``kills`` kills."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from celery_recommender.broker.redis.connections import transport_options
from celery_recommender.celery.worker.app import make_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from tests.support.encoders import FixedEncoders

VISIBILITY_TIMEOUT_S = 10
"""After so long a message of a worker that died is given to another; short, so that the runs end."""

SINK = "KILLS_SINK"
"""Names the file to which the hand-written worker writes what it has done."""


def use_broker(app: Celery, url: str) -> None:
    """The options that Celery's documentation advises against loss, and the shortest waits."""
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    if url.startswith("amqp"):
        app.conf.broker_transport_options = {"confirm_publish": True, "socket_timeout": 10}
        app.conf.visibility_timeout = None
    else:
        app.conf.broker_transport_options = {
            **transport_options(url),
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        }
        app.conf.visibility_timeout = VISIBILITY_TIMEOUT_S


def hand_written(broker: str) -> Celery:
    """A hand-written task: it does its work and writes down that it has."""
    app = Celery("hand-written", broker=broker, set_as_current=False)
    use_broker(app, broker)
    app.conf.task_ignore_result = True

    @app.task(name="dedup.ingest", shared=False)
    def ingest(item: dict[str, str]) -> None:
        with Path(os.environ[SINK]).open("a") as sink:
            sink.write(f"{item['id']}\n")
            sink.flush()
            os.fsync(sink.fileno())

    return app


def ours(settings: Settings) -> Celery:
    """The app of ``recommender worker``, without a model and with the same waits as above."""
    app, _ = make_app(settings, FixedEncoders())
    use_broker(app, settings.broker_url or settings.redis_url)
    return app


def __getattr__(name: str) -> Celery:
    """The apps are made when a worker asks for one: ``hand`` or ``recommender``."""
    settings = Settings.from_environment()
    if name == "hand":
        return hand_written(settings.broker_url)
    if name == "recommender":
        configure_logs(settings)
        return ours(settings)
    raise AttributeError(name)
