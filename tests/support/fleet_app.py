"""``celery -A tests.support.fleet_app:APP worker``: owner and embed workers whose model takes its time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

from celery import Celery

from celery_recommender.celery.worker.app import make_app, make_embed_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from recommender_engine.embedding import Embeddings, ModelIdentity
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.testing import DeterministicEncoder

log = logging.getLogger(__name__)

BEGUN, ENDED = "model.begun", "model.ended"
"""What the log says around each batch."""

SLEEP_S = "FLEET_SLEEP_S"
"""Names the seconds that a batch takes; none without it."""


class SleepingEncoder:
    """The deterministic encoder with a sleep per batch, like a model on another processor."""

    names = (DEFAULT_MODEL,)

    def __init__(self, sleep_s: float) -> None:
        self._encoder = DeterministicEncoder()
        self._sleep_s = sleep_s

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encoder(self, name: str) -> SleepingEncoder:
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        log.info(BEGUN)
        time.sleep(self._sleep_s)
        log.info(ENDED)
        return self._encoder.encode(texts)


def __getattr__(name: str) -> Celery:
    """The apps are made when a worker asks for one: ``owner`` or ``embed``."""
    makers = {"owner": make_app, "embed": make_embed_app}
    if name not in makers:
        raise AttributeError(name)
    settings = Settings.from_environment()
    configure_logs(settings)
    app, _ = makers[name](settings, SleepingEncoder(float(os.environ.get(SLEEP_S, "0"))))
    return app
