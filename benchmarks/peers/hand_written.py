"""``celery -A benchmarks.peers.hand_written worker``: a worker without this product.

One task for each item: embed its text, ask an index in memory for neighbours, add it, publish. Celery's defaults, but
for a pool of one: the index is in the memory of one process.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import hnswlib
from celery import Celery
from redis import Redis

from celery_recommender.broker.redis.connections import celery_url, connect
from celery_recommender.settings import Settings
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2

TASK = "dedup.ingest"
PUBLISHED = "hand-written:events"

_DIMENSION = 384
_MOST_ITEMS = 200_000
_NEIGHBOURS = 10
_DUPLICATE_FROM = 0.9


def make_hand_written(settings: Settings) -> Celery:
    """Its app; ``app.send_task(TASK, [id, text])`` calls it."""
    app = Celery("hand-written", broker=celery_url(settings.redis_url), set_as_current=False)
    app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)

    @cache
    def model() -> Any:
        from sentence_transformers import SentenceTransformer  # takes seconds, and a sender does not need it

        return SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)

    @cache
    def index() -> Any:
        made = hnswlib.Index(space="ip", dim=_DIMENSION)
        made.init_index(_MOST_ITEMS, M=16, ef_construction=200)
        made.set_ef(64)
        return made

    @cache
    def redis() -> Redis:
        return connect(settings.redis_url)

    ids: list[str] = []

    @app.task(name=TASK, shared=False)
    def ingest(id_: str, text: str) -> None:
        vector = model().encode([text], show_progress_bar=False)
        near: list[tuple[str, float]] = []
        if ids:
            labels, distances = index().knn_query(vector, min(_NEIGHBOURS, len(ids)))
            near = [(ids[label], round(1 - float(gap), 4)) for label, gap in zip(labels[0], distances[0], strict=True)]
        index().add_items(vector, [len(ids)])
        ids.append(id_)
        twin = near[0][0] if near and near[0][1] >= _DUPLICATE_FROM else None
        redis().xadd(PUBLISHED, {"event": json.dumps({"id": id_, "duplicate_of": twin, "similar": near})})

    return app


def __getattr__(name: str) -> Celery:
    """The app is made when a worker asks for it."""
    if name == "app":
        return make_hand_written(Settings.from_environment())
    raise AttributeError(name)
