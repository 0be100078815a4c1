"""Stream to published verdict, beside ``SentenceTransformer.encode`` over the same texts in the same run."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np

from benchmarks.worker_process import RunningWorker, running_worker
from recommender import open_recommender
from recommender.embedding.model_files import locate
from recommender.embedding.model_source import ALL_MINILM_L6_V2
from recommender.items import CommandRejected, GroupChanged, ItemProcessed, ItemRevised
from workers.client import is_outcome
from workers.owner.owner import state_directory


def measure(texts: list[str], index: str, *, quick: bool = False) -> dict[str, Any]:
    """Items/s of the whole pipeline and of the model alone; the model before and after, so that drift shows.

    ``quick``: the model afterwards only.
    """
    before = None if quick else encode_rate(texts)
    with running_worker() as worker:
        if index != "auto":
            worker.client.outcome(worker.client.configure("default", {"index": index}))
        seconds, counts, share = send_and_wait(worker, texts)
        peak, cpu = worker.peak_memory_mb(), worker.cpu_s()
        worker.process.terminate()
        worker.process.wait(60)
        recall = sampled_recall(worker)
    after = encode_rate(texts)
    rates = [rate for rate in (before, after) if rate is not None]
    encode = sum(rates) / len(rates)
    return {
        "items": len(texts),
        "item.processed events": counts[ItemProcessed.type],
        "rejected": counts[CommandRejected.type],
        "group.changed events": counts[GroupChanged.type],
        "item.revised events": counts[ItemRevised.type],
        "pipeline items/s": round(len(texts) / seconds, 1),
        "encode(batch_size=32) items/s": ", ".join(f"{rate:.1f}" for rate in rates),
        "deciding, as a share of embedding": round(share, 3),
        "ratio to encode": round(len(texts) / seconds / encode, 3),
        "worker cpu s": round(cpu, 1),
        "worker peak MiB": peak,
        "recall@10": recall,
    }


def encode_rate(texts: list[str]) -> float:
    """Items/s of the stock call over the whole list at once."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)
    model.encode(texts[:64], batch_size=32)
    started = time.perf_counter()
    model.encode(texts, batch_size=32)
    return len(texts) / (time.perf_counter() - started)


def send_and_wait(worker: RunningWorker, texts: list[str]) -> tuple[float, Counter[str], float]:
    """Seconds from the first append to the last outcome, events by type, and deciding as a share of embedding.

    Deciding is everything between vector and event: candidates, features, verdict, group, recommendations, storing.
    """
    after = worker.client.last_event()
    started = time.perf_counter()
    worker.client.backfill({"id": str(place), "text": text} for place, text in enumerate(texts))
    processed: set[str] = set()
    counts: Counter[str] = Counter()
    outcomes = 0
    embed_ms = decide_ms = 0.0
    for event in worker.client.events(after):
        counts[event["type"]] += 1
        outcomes += is_outcome(event)
        if event["type"] == ItemProcessed.type:
            processed.add(event["data"]["item_id"])
            embed_ms += event["data"]["timings"]["embed_ms"]
            decide_ms += event["data"]["timings"]["decide_ms"]
        if outcomes >= len(texts):
            break
    if len(processed) != counts[ItemProcessed.type]:
        raise RuntimeError("an item was processed twice")
    return time.perf_counter() - started, counts, decide_ms / embed_ms


def sampled_recall(worker: RunningWorker) -> float | str:
    """Recall@10 of the index against exact search, on the state the worker left."""
    engine = open_recommender(state_directory(worker.settings))
    try:
        recalls = engine.sampled_recall()
    finally:
        engine.close()
    return round(float(np.mean(list(recalls.values()))), 4) if recalls else "1.0 (exact index)"
