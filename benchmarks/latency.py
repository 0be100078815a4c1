"""One item to an idle worker: from append to event, beside embedding it."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.texts import load_texts
from benchmarks.worker_process import running_worker
from recommender.embedding import KNOWN_MODELS, ModelCatalogue
from recommender.items import DEFAULT_MODEL

ROUNDS = 200


def measure() -> dict[str, Any]:
    """Medians and 99th percentiles in milliseconds, paired: one item, one embedding, one item …"""
    texts = load_texts("banking77", ROUNDS + 20)
    encoder = ModelCatalogue(KNOWN_MODELS).encoder(DEFAULT_MODEL)
    pipeline, encode = [], []
    with running_worker() as worker:
        for place, text in enumerate(texts):
            started = time.perf_counter()
            worker.client.outcome(worker.client.ingest({"id": str(place), "text": text}))
            answered = time.perf_counter()
            encoder.encode([text])
            encoded = time.perf_counter()
            if place >= len(texts) - ROUNDS:
                pipeline.append((answered - started) * 1000)
                encode.append((encoded - answered) * 1000)
    return {
        "rounds": ROUNDS,
        "idle p50 ms": round(statistics.median(pipeline), 1),
        "idle p99 ms": round(statistics.quantiles(pipeline, n=100)[98], 1),
        "single encode p50 ms": round(statistics.median(encode), 1),
        "single encode p99 ms": round(statistics.quantiles(encode, n=100)[98], 1),
    }
