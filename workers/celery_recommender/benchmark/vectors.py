"""Vectors that producers bring themselves: what the pipeline costs beside the index alone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from celery_recommender.benchmark.child import Child
from celery_recommender.benchmark.doors import Passage, through_stream
from celery_recommender.sandbox import RunningWorker
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.index import DEFAULT_PARAMETERS
from recommender_engine.items import CollectionSettings

_PARENTS = 3


def spread(vectors: Vectors, count: int, seed: int = 0) -> Vectors:
    """So many distinct unit vectors: those given, and, where they are too few, normalised means of three of them.

    Args:
        vectors: shape (n, dimension), unit length, at least three.
        count: how many are wanted.
        seed: of the choice.
    """
    missing = count - len(vectors)
    if missing <= 0:
        return vectors[:count]
    chance = np.random.default_rng(seed)
    parents = np.stack([chance.choice(len(vectors), _PARENTS, replace=False) for _ in range(missing)])
    weights = chance.uniform(0.2, 1.0, (missing, _PARENTS, 1)).astype(np.float32)
    means = (vectors[parents] * weights).sum(axis=1)
    return np.concatenate([vectors, means / np.linalg.norm(means, axis=1, keepdims=True)])


def through_index(child: Child, path: Path, block: int, threads: int = DEFAULT_PARAMETERS.threads) -> float:
    """Seconds that hnswlib takes to ask for the neighbours of the vectors in a file and to add them.

    Args:
        child: runs ``celery_recommender.benchmark.stock``.
        path: array of shape (vectors, dimension).
        block: vectors at a time.
        threads: of hnswlib; by default those of our index.
    """
    k = CollectionSettings().candidates
    graph = DEFAULT_PARAMETERS
    answer = child.ask(
        "index",
        path=str(path),
        block=block,
        k=k,
        m=graph.m,
        ef_construction=graph.ef_construction,
        ef=graph.ef_for(k),
        seed=graph.seed,
        threads=threads,
    )
    return float(answer["seconds"])


def through_worker(worker: RunningWorker, vectors: Vectors, collection: str) -> Passage:
    """Send the vectors as items to an HNSW index, judged by cosine alone, and wait for every outcome."""
    worker.client.outcome(worker.client.configure(collection, {"index": "hnsw", "rule": "cosine"}))
    return through_stream(worker, list(_items(vectors, collection)))


def _items(vectors: Vectors, collection: str) -> Iterator[dict[str, Any]]:
    for place, vector in enumerate(vectors):
        given = b64encode(vector.astype("<f4").tobytes()).decode()
        yield {"id": str(place), "collection": collection, "text": f"item {place}", "vector": given}
