"""``celery -A benchmarks.peers.celery_batches_app worker``: the hand-written worker, with celery-batches.

As its documentation has it: a task takes a list of requests, whenever 64 have come or 50 ms have passed.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import hnswlib
from celery import Celery
from celery_batches import Batches
from sentence_transformers import SentenceTransformer

from benchmarks.peers.hand_written import PUBLISHED, TASK
from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.settings import Settings
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2

FLUSH_EVERY, FLUSH_INTERVAL_S = 64, 0.05
_NEIGHBOURS = 10
_DUPLICATE_FROM = 0.9


def make_app(settings: Settings) -> Celery:
    app = Celery("batches", broker=celery_url(settings.redis_url), set_as_current=False)
    app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False, worker_prefetch_multiplier=0)
    redis = connect(settings.redis_url)
    ids: list[str] = []

    @cache
    def model() -> SentenceTransformer:
        return SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)

    @cache
    def index() -> Any:
        made = hnswlib.Index(space="ip", dim=384)
        made.init_index(200_000, M=16, ef_construction=200)
        made.set_ef(64)
        return made

    @app.task(name=TASK, base=Batches, flush_every=FLUSH_EVERY, flush_interval=FLUSH_INTERVAL_S, shared=False)
    def ingest(requests: list[Any]) -> None:
        names, texts = zip(*(request.args for request in requests), strict=True)
        vectors = model().encode(list(texts), show_progress_bar=False)
        near: list[list[tuple[str, float]]] = [[] for _ in names]
        if ids:
            found = zip(*index().knn_query(vectors, min(_NEIGHBOURS, len(ids))), strict=True)
            near = [[(ids[label], 1 - float(gap)) for label, gap in zip(*row, strict=True)] for row in found]
        index().add_items(vectors, range(len(ids), len(ids) + len(names)))
        ids.extend(names)
        pipe = redis.pipeline(transaction=False)
        for name, similar in zip(names, near, strict=True):
            twin = similar[0][0] if similar and similar[0][1] >= _DUPLICATE_FROM else None
            event = {"id": name, "duplicate_of": twin, "similar": similar}
            pipe.xadd(PUBLISHED, {"event": json.dumps(event)})
        pipe.execute()

    return app


def __getattr__(name: str) -> Celery:
    """The app is made when a worker asks for it."""
    if name == "app":
        return make_app(Settings.from_environment())
    raise AttributeError(name)
