"""Items that bring their vector, judged by cosine alone: beside hnswlib alone with the same parameters."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.child import Child
from benchmarks.encoder_pair import Encoders
from benchmarks.output import publish, show, timed
from benchmarks.report import Report, Row
from benchmarks.rounds import Rates, fresh_worker
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.measuring import Throughput, through_stream
from celery_recommender.sandbox import RunningWorker
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.index import DEFAULT_PARAMETERS
from recommender_engine.items import CollectionSettings

GIVEN, LIMIT, ALL_THREADS = "vectors given, through the worker", "hnswlib, add and query", "hnswlib, every processor"
_PARENTS = 3


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=20_000, show_default=True, help="Vectors; means of real ones where there are too few.")
@click.option("--rounds", default=3, show_default=True)
def vectors(name: str, items: int, rounds: int) -> None:
    """Vectors given, beside hnswlib alone."""
    report = measure(measured_texts(name, items), items, rounds)
    show(report)
    publish([report])


@timed
def measure(texts: Texts, items: int, rounds: int) -> Report:
    """Asking for neighbours and adding, a batch at a time, in a fresh index each."""
    rates = Rates("vectors/s")
    with bench_settings() as settings, Encoders(settings) as encoders:
        path = settings.state_dir / "vectors.npy"
        encoders.alone.ask("encode", texts=texts.texts, save_to=str(path))
        given = spread(np.load(path, allow_pickle=False), items)
        np.save(path, given, allow_pickle=False)
        for number in range(rounds):
            for what, threads in ((LIMIT, DEFAULT_PARAMETERS.threads), (ALL_THREADS, encoders.threads)):
                rates.note(what, items / through_index(encoders.stock, path, settings.batch_items, threads))
            with fresh_worker(settings, f"round-{number}") as worker:
                rates.note(GIVEN, through_worker(worker, given, "vectors").items_per_s)
    limit, all_threads = rates.figure(LIMIT), rates.figure(ALL_THREADS)
    graph = DEFAULT_PARAMETERS
    return Report(
        "vectors",
        "Vectors given",
        f"{items:,} vectors, {_made_of(texts, items)}; M {graph.m}, ef_construction {graph.ef_construction}",
        [
            Row(limit, note=f"{graph.threads} thread{'s' if graph.threads > 1 else ''}, as our index"),
            Row(all_threads, note=f"{encoders.threads} threads"),
            Row(rates.figure(GIVEN), limit, "≥ 0.7"),
            Row(rates.figure(GIVEN), all_threads),
        ],
    )


def _made_of(texts: Texts, items: int) -> str:
    real = len(texts.texts)
    return f"of {texts.name}" if items <= real else f"{real:,} of {texts.name}, the others means of three of these"


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
        child: runs ``benchmarks.peers.stock``.
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


def through_worker(worker: RunningWorker, vectors: Vectors, collection: str) -> Throughput:
    """Send the vectors as items to an HNSW index, judged by cosine alone, and wait for every outcome."""
    worker.client.outcome(worker.client.configure(collection, {"index": "hnsw", "rule": "cosine"}))
    return through_stream(worker, list(_items(vectors, collection)))


def _items(vectors: Vectors, collection: str) -> Iterator[dict[str, Any]]:
    for number, vector in enumerate(vectors):
        given = b64encode(vector.astype("<f4").tobytes()).decode()
        yield {"id": str(number), "collection": collection, "text": f"item {number}", "vector": given}
